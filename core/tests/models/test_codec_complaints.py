"""What the codec says about bodies that are wrong: upstream's words, upstream's order."""

import pytest

from bareboat.models import admissionregistration_v1, codec, core_v1


def complaint(cls, text):
    with pytest.raises(codec.DecodeError) as caught:
        codec.decode_strict(cls, text.encode())
    return caught.value.message


def warnings(cls, text):
    return codec.decode_strict(cls, text.encode())[1]


def test_unknown_and_duplicate_fields_are_listed_in_document_order():
    text = '{"spec":{"foo":1,"containers":[{"name":"a","bar":{},"name":"b"}],"nodeName":"n","nodeName":"m"},"zed":1}'
    assert warnings(core_v1.Pod, text) == [
        'unknown field "spec.foo"',
        'unknown field "spec.containers[0].bar"',
        'duplicate field "spec.containers[0].name"',
        'duplicate field "spec.nodeName"',
        'unknown field "zed"',
    ]


def test_of_duplicates_the_last_counts():
    pod, found = codec.decode_strict(core_v1.Pod, b'{"spec":{"nodeName":"a","nodeName":"b"}}')
    assert pod.spec.nodeName == "b"
    assert found == ['duplicate field "spec.nodeName"']


def test_duplicate_map_keys_are_found():
    assert warnings(core_v1.ConfigMap, '{"data":{"a":"1","a":"2"}}') == ['duplicate field "data.a"']


def test_a_clean_body_has_no_complaints_however_it_is_spelled():
    assert warnings(core_v1.ConfigMap, '{ "data" : { "\\u0061" : "\\u0022:" , "b":"\\":" } }') == []


def test_lenient_decoding_drops_unknown_fields():
    assert codec.decode(core_v1.Pod, b'{"spec":{"foo":1,"nodeName":"n"}}').spec.nodeName == "n"


def test_complaints_end_at_a_hundred():
    many = ",".join(f'"x{number}":1' for number in range(150))
    assert len(warnings(core_v1.Pod, f'{{"spec":{{{many}}}}}')) == 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"spec":{"containers":[{"imagePullPolicy":1}]}}',
            "json: cannot unmarshal number into Go struct field Container.spec.containers.imagePullPolicy of type v1.PullPolicy",
        ),
        (
            '{"metadata":{"labels":{"a":true}}}',
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            '{"spec":{"priority":3000000000}}',
            "json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            '{"spec":{"terminationGracePeriodSeconds":1.0}}',
            "json: cannot unmarshal number 1.0 into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64",
        ),
        (
            '{"spec":{"volumes":[{"hostPath":"x"}]}}',
            "json: cannot unmarshal string into Go struct field Volume.spec.volumes.VolumeSource.hostPath of type v1.HostPathVolumeSource",
        ),
        ("[]", "json: cannot unmarshal array into Go value of type v1.Pod"),
        (
            '{"spec":{"containers":[{"resources":{"limits":{"cpu":"lots"}}}]}}',
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            '{"metadata":{"creationTimestamp":"yesterday"}}',
            'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
        ),
        (
            '{"spec":{"containers":[{"livenessProbe":{"httpGet":{"port":true}}}]}}',
            "json: cannot unmarshal bool into Go struct field "
            "HTTPGetAction.spec.containers.livenessProbe.ProbeHandler.httpGet.port of type int32",
        ),
    ],
)
def test_wrong_types_are_reported_as_go_reports_them(text, message):
    assert complaint(core_v1.Pod, text) == message


def test_the_first_wrong_type_wins_but_a_type_that_decodes_itself_ends_the_decoding():
    assert "PodSpec.spec.nodeName" in complaint(core_v1.Pod, '{"spec":{"nodeName":1,"hostname":2}}')
    assert "quantities" in complaint(core_v1.Pod, '{"spec":{"nodeName":1,"overhead":{"cpu":"x"}}}')


def test_inlined_structs_are_named_in_full():
    text = '{"webhooks":[{"rules":[{"apiGroups":1}]}]}'
    assert "RuleWithOperations.webhooks.rules.Rule.apiGroups of type []string" in complaint(
        admissionregistration_v1.ValidatingWebhookConfiguration, text
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unexpected end of JSON input"),
        ('{"a":', "unexpected end of JSON input"),
        ("{x}", "invalid character 'x' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ('{"a":[1] "b"}', "invalid character '\"' after object key:value pair"),
        ('{"a":[1 2]}', "invalid character '2' after array element"),
        ('{"a":"x', "unexpected end of JSON input"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a":"\n"}', "invalid character '\\n' in string literal"),
        ("{} x", "invalid character 'x' after top-level value"),
        ('{"a":NaN}', "invalid character 'N' looking for beginning of value"),
    ],
)
def test_what_is_not_json_is_told_from_what_is_wrong(text, message):
    with pytest.raises(codec.DecodeError) as caught:
        codec.decode(core_v1.Pod, text.encode())
    assert caught.value.syntax
    assert caught.value.message == message
