"""What a stack consists of, decided from options and environment alone."""

from pathlib import Path

import pytest

from stack import topology
from stack.services import render
from stack.topology import Foundation, StackOptions, choose_broker

NOTHING_OURS = Foundation((), {}, {"HEADWAY_BROKER": "direct"}, "direct")


def test_nginx_stands_before_several_gateways_only(tmp_path: Path) -> None:
    assert not StackOptions(tmp_path, gateways=1).with_nginx
    assert StackOptions(tmp_path, gateways=2).with_nginx
    assert not StackOptions(tmp_path, gateways=2, nginx=False).with_nginx
    assert StackOptions(tmp_path, gateways=1, nginx=True).with_nginx


def test_without_nginx_the_first_gateway_has_the_address_for_clients(tmp_path: Path) -> None:
    gateways = topology.gateways(StackOptions(tmp_path, port=4711, gateways=2, nginx=False), NOTHING_OURS)

    assert [program.role for program in gateways] == ["gateway-1", "gateway-2"]
    assert gateways[0].env["HEADWAY_PORT"] == "4711"
    assert gateways[1].env["HEADWAY_PORT"] not in ("4711", "0")


def test_behind_nginx_gateways_listen_on_loopback(tmp_path: Path) -> None:
    options = StackOptions(tmp_path, host="0.0.0.0", port=4711, gateways=2)

    assert {program.env["HEADWAY_HOST"] for program in topology.gateways(options, NOTHING_OURS)} == {"127.0.0.1"}
    assert options.url == "http://127.0.0.1:4711"


def test_bridges_and_workers_have_a_port_each_for_their_operators_on_loopback(tmp_path: Path) -> None:
    options = StackOptions(tmp_path, host="0.0.0.0", bridges=2, workers=3)
    behind = topology.bridges(options, NOTHING_OURS) + topology.workers(options, NOTHING_OURS)

    assert len({program.port for program in behind}) == 5
    for program in behind:
        assert program.env["HEADWAY_METRICS_PORT"] == str(program.port)
        assert program.env["HEADWAY_HOST"] == "127.0.0.1"
        assert program.url == f"http://127.0.0.1:{program.port}"


def test_services_of_the_environment_are_not_started_and_their_passwords_not_shown(tmp_path: Path) -> None:
    given = {
        "MONGO_URL": "mongodb://me:s3cret@db.example/?tls=true",
        "REDIS_URL": "redis://:s3cret@cache.example:6379/0",
        "AMQP_URL": "amqps://me:s3cret@mq.example/",
    }

    foundation = topology.lay_foundation(StackOptions(tmp_path), given)

    assert foundation.chains == ()
    assert foundation.broker == "rabbitmq"
    assert foundation.environment == {"HEADWAY_BROKER": "rabbitmq"}
    assert foundation.addresses == {
        "mongodb": "mongodb://db.example/",
        "redis": "redis://cache.example:6379/0",
        "rabbitmq": "amqps://mq.example/",
    }


def test_broker_is_direct_only_where_rabbitmq_can_not_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("stack.services.RABBITMQ_SCRIPTS", ())
    monkeypatch.setattr("stack.services.SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))

    assert choose_broker("auto", {}) == "direct"
    assert choose_broker("auto", {"AMQP_URL": "amqp://mq.example/"}) == "rabbitmq"
    assert choose_broker("rabbitmq", {}) == "rabbitmq"
    assert choose_broker("direct", {"AMQP_URL": "amqp://mq.example/"}) == "direct"


def test_template_keeps_what_belongs_to_nginx() -> None:
    template = "listen ${HEADWAY_LISTEN}; proxy_set_header Host $host:$server_port;"

    rendered = render(template, {"HEADWAY_LISTEN": "127.0.0.1:80"})

    assert rendered == "listen 127.0.0.1:80; proxy_set_header Host $host:$server_port;"
    with pytest.raises(KeyError, match="HEADWAY_OTHER"):
        render("${HEADWAY_OTHER}", {})
