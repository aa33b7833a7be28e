"""Certificates that are made anew, and taken up while connections go on."""

import asyncio
import os
import ssl
from datetime import timedelta

import pytest
from cryptography import x509

from bareboat.base.clock import SystemClock
from bareboat.base.ids import SeededIds
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.joining.renewal import RETRY, Renewal
from bareboat.cluster.layout import Layout
from bareboat.cluster.pki.authority import LIFE, Authority, pin, request
from bareboat.cluster.pki.inventory import check
from bareboat.cluster.pki.requests import RequestSigner
from bareboat.cluster.pki.rotation import Rotation
from bareboat.server.listening import Listener
from bareboat.testing.kernel import LoopClock


class Later(SystemClock):
    """The machine's clock, set forward."""

    def __init__(self, by=timedelta(0)):
        self.by = by

    def now(self):
        return super().now() + self.by


def serial(pem):
    return x509.load_pem_x509_certificate(pem).serial_number


def test_a_certificate_is_reused_until_it_nears_its_end(tmp_path):
    clock = Later()
    pki = Authority(tmp_path, clock)
    before = serial(pki.client("x", "ann", ["dev"]).certificate_pem)
    assert serial(pki.client("x", "ann", ["dev"]).certificate_pem) == before
    clock.by = LIFE - timedelta(days=29)
    assert serial(pki.client("x", "ann", ["dev"]).certificate_pem) != before


@pytest.mark.parametrize("change", [("bob", ["dev"]), ("ann", ["ops"]), ("ann", [])])
def test_a_certificate_for_another_subject_is_another(tmp_path, change):
    pki = Authority(tmp_path, SystemClock())
    before = serial(pki.client("x", "ann", ["dev"]).certificate_pem)
    assert serial(pki.client("x", *change).certificate_pem) != before


def test_a_certificate_of_a_former_ca_is_made_anew(tmp_path):
    pki = Authority(tmp_path, SystemClock())
    before = serial(pki.client("x", "ann").certificate_pem)
    pki.pair.certificate.unlink()
    assert serial(Authority(tmp_path, SystemClock()).client("x", "ann").certificate_pem) != before


def test_keys_are_private(tmp_path):
    pair = Authority(tmp_path, SystemClock()).client("x", "ann")
    assert pair.key.stat().st_mode & 0o777 == 0o600


def test_rotation_tells_of_files_that_changed_and_keeps_the_old_when_they_are_broken(tmp_path, caplog):
    clock = Later()
    pki, told, rotation = Authority(tmp_path, clock), [], Rotation(clock)

    def changed():
        told.append(pair.certificate_pem)
        x509.load_pem_x509_certificate(pair.certificate_pem)

    pair = rotation.keep("x", lambda: pki.client("x", "ann"), changed, pki.pair.certificate)
    rotation.look()
    assert told == []
    good = pair.certificate_pem
    pair.certificate.write_bytes(b"half")
    rotation.look()
    assert "the former one is kept" in caplog.text
    pair.certificate.write_bytes(good)
    os.utime(pair.certificate, (1, 1))
    rotation.look()
    rotation.look()
    assert told == [b"half", good]


async def test_a_listener_serves_the_new_certificate_without_a_restart(tmp_path):
    pki = Authority(tmp_path, SystemClock())
    pair = pki.serving("server", "server", ["127.0.0.1"])

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    listener = Listener(app, certificate=pair.certificate, key=pair.key, client_ca=pki.pair.certificate)
    port = await listener.start("127.0.0.1", 0)
    trust = ssl.create_default_context(cadata=pki.certificate_pem.decode())

    async def seen():
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        found = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(True)).serial_number
        return found, writer

    before, kept = await seen()
    pki.reissue(pair)
    listener.reload()
    after, writer = await seen()
    assert before != after == serial(pair.certificate_pem)
    kept.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await kept.drain()
    pair.certificate.write_bytes(b"broken")
    with pytest.raises(OSError):
        listener.reload()
    last, third = await seen()
    assert last == after
    for connection in (kept, writer, third):
        connection.close()
    await listener.stop()


@pytest.mark.virtual_time
async def test_a_certificate_is_renewed_in_the_last_third_of_its_life(tmp_path):
    clock = LoopClock()
    clock.now()
    sign = RequestSigner(Authority(tmp_path, clock).pair, clock)
    held, faults, renewed = [], [ClusterError("not yet")], []

    def issue():
        key, csr = request("system:node:n1", ["system:nodes"])
        return key, sign(csr, ["client auth"], 86400.0)

    async def obtain():
        if faults:
            raise faults.pop()
        return issue()

    def install(key, certificate):
        renewed.append(clock.monotonic())
        held[:] = [certificate]

    held.append(issue()[1])
    start = clock.monotonic()
    task = asyncio.ensure_future(Renewal("x", lambda: held[0], obtain, install, clock, SeededIds(1)).run())
    await asyncio.sleep(3 * 86400)
    task.cancel()
    assert len(renewed) in (3, 4)
    assert 0.68 * 86400 + RETRY <= renewed[0] - start <= 0.9 * 86400 + RETRY


def test_a_table_of_certificates(tmp_path):
    layout, clock = Layout(tmp_path), Later()
    with pytest.raises(ClusterError, match="no certificates"):
        check(layout, clock)
    pki = Authority(layout.pki, clock)
    pki.client("ann", "ann")
    assert [(row.name, row.ca, row.state) for row in check(layout, clock)] == [("ca", True, "valid"), ("ann", False, "valid")]
    clock.by = LIFE - timedelta(days=10)
    assert [row.state for row in check(layout, clock)] == ["valid", "expiring"]
    clock.by = LIFE + timedelta(days=1)
    assert [row.state for row in check(layout, clock)] == ["valid", "expired"]
    Authority(tmp_path / "other", clock).client("bob", "bob").certificate.rename(layout.pki / "bob.crt")
    assert check(layout, clock)[-1].state == "foreign"


def test_the_pin_is_kubeadms(tmp_path):
    """openssl x509 -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256"""
    import subprocess

    pki = Authority(tmp_path, SystemClock())
    key = subprocess.run(["openssl", "x509", "-pubkey", "-noout"], input=pki.certificate_pem, capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key, capture_output=True, check=True).stdout
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=der, capture_output=True, check=True).stdout.split()[0].decode()
    assert pin(pki.certificate_pem) == f"sha256:{digest}"
