#!/usr/bin/env python3
"""A server for two webhooks of boats: it converts between v1 (spec.sails) and v2 (spec.rig.sails), and sinks what is unsinkable.

    python examples/boats/webhook.py 9443 > boats.json &     # prints the definition with both versions and the webhooks, then serves
    kubectl apply -f boats.json

Its certificate is made at the start; the objects that it prints trust that one and no other.
"""

import base64
import datetime
import ipaddress
import json
import ssl
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

GROUP = "harbor.example.com"


def converted(boat, version):
    """The same boat in the other version."""
    if boat["apiVersion"] == version:
        return boat
    spec = boat.get("spec", {})
    spec = {"rig": {"sails": spec.get("sails", 1)}} if version.endswith("/v2") else {"sails": spec.get("rig", {}).get("sails", 1)}
    return {**boat, "apiVersion": version, "spec": spec}


def convert(request):
    boats = [converted(boat, request["desiredAPIVersion"]) for boat in request["objects"]]
    return {"convertedObjects": boats, "result": {"status": "Success"}}


def admit(request):
    if request["name"] == "titanic":
        return {"allowed": False, "status": {"message": "she is unsinkable, they say", "code": 403}}
    return {"allowed": True, "warnings": ["mind the rocks"]}


ANSWERS = {"/convert": convert, "/admit": admit}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = ANSWERS[self.path.partition("?")[0]](review["request"])
        review["response"] = {"uid": review.pop("request")["uid"], **answer}
        data = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


def certificate():
    """A certificate for 127.0.0.1 with its key, in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "boats")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=30))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signed.public_bytes(serialization.Encoding.PEM), secret


def version(name, spec, storage):
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}}
    return {"name": name, "served": True, "storage": storage, "schema": schema}


def manifests(port, pem):
    def client(path):
        return {"url": f"https://127.0.0.1:{port}{path}", "caBundle": base64.b64encode(pem).decode()}

    sails = {"sails": {"type": "integer", "minimum": 0}}
    versions = [version("v1", sails, True), version("v2", {"rig": {"type": "object", "properties": sails}}, False)]
    webhook = {"clientConfig": client("/convert"), "conversionReviewVersions": ["v1"]}
    names = {"plural": "boats", "singular": "boat", "kind": "Boat", "shortNames": ["bt"]}
    spec = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": versions}
    yield {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"boats.{GROUP}"},
        "spec": {**spec, "conversion": {"strategy": "Webhook", "webhook": webhook}},
    }
    rule = {"operations": ["CREATE"], "apiGroups": [GROUP], "apiVersions": ["v1"], "resources": ["boats"]}
    hook = {"name": f"boats.{GROUP}", "clientConfig": client("/admit"), "rules": [rule], "sideEffects": "None"}
    yield {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "boats"},
        "webhooks": [{**hook, "admissionReviewVersions": ["v1"]}],
    }


def main(port):
    pem, key = certificate()
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tls.pem")
        path.write_bytes(pem + key)
        context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests(server.server_port, pem))}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
