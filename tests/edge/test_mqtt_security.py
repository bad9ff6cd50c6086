"""TLS with client certificates, passwords, last will and status; what is refused is said, and tried again."""

from __future__ import annotations

import ipaddress
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.edge.gatewaykit import GatewayKit
from tests.edge.mosquitto import Mosquitto, Publisher, until
from tests.edge.test_mqtt import PUMP, source
from twinproof.errors import ConfigError


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.edge.backoff.FIRST", 0.02)


LOCAL = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


class Authority:
    """Signs certificates of this test."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType, *, critical: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(extension, critical=critical)
            .sign(self.key, hashes.SHA256())
        )

    def issue(self, name: str, names: Sequence[x509.GeneralName] = LOCAL) -> tuple[Path, Path]:
        """(certificate, key) files of somebody at localhost, or elsewhere."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, x509.SubjectAlternativeName(names), critical=False)
        paths = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths


Start = Callable[..., Mosquitto]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Mosquitto] = []
    folder = tmp_path / "broker"
    folder.mkdir()

    def go(*settings: str) -> Mosquitto:
        made.append(Mosquitto(folder, *settings).start())
        return made[-1]

    yield go
    for broker in made:
        broker.stop(signal.SIGKILL)


def test_tls_with_client_certificates(tmp_path: Path, start: Start) -> None:
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("server")
    broker = start(
        f"cafile {authority.path}",
        f"certfile {certificate}",
        f"keyfile {key}",
        "require_certificate true",
        "allow_anonymous true",
    )
    certificate, key = authority.issue("gateway")
    tls = f'tls = {{ ca = "{authority.path}", cert = "{certificate}", key = "{key}" }}'
    kit = GatewayKit(tmp_path, source(broker, broker_more=tls))
    options: dict[str, Any] = {"ca_certs": str(authority.path), "certfile": str(certificate), "keyfile": str(key)}
    with kit.running(), closing(Publisher(broker, **options)) as publisher:
        for number in range(300):
            publisher.publish("plant/a/7/speed", str(number))
        kit.expect(PUMP, list(range(300)))
    assert kit.problems == []


def test_a_broker_of_another_authority_gets_nothing(tmp_path: Path, start: Start) -> None:
    right, wrong = Authority(tmp_path, "right"), Authority(tmp_path, "wrong")
    certificate, key = wrong.issue("server")
    broker = start(f"certfile {certificate}", f"keyfile {key}", "allow_anonymous true")
    kit = GatewayKit(tmp_path, source(broker, broker_more=f'tls = {{ ca = "{right.path}" }}'))
    with kit.running(connect=False):
        until(lambda: kit.problems, "the refusal")
        assert not kit.connectors[0].connected.is_set()
    assert "CERTIFICATE_VERIFY_FAILED" in str(kit.problems[0])


def test_a_broker_of_another_name_gets_nothing(tmp_path: Path, start: Start) -> None:
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("server", names=[x509.DNSName("another.example")])
    broker = start(f"certfile {certificate}", f"keyfile {key}", "allow_anonymous true")
    kit = GatewayKit(tmp_path, source(broker, broker_more=f'tls = {{ ca = "{authority.path}" }}'))
    with kit.running(connect=False):
        until(lambda: kit.problems, "the refusal")
        assert not kit.connectors[0].connected.is_set()
    assert "IP address mismatch" in str(kit.problems[0])


def test_certificates_that_are_none(tmp_path: Path, start: Start) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    broker = start()
    kit = GatewayKit(tmp_path, source(broker, broker_more='tls = { ca = "ca.pem" }'))
    with pytest.raises(ConfigError, match=r"ca\.pem"), kit.running():
        pass


def test_a_password_from_the_environment(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "gateway", "secret"], check=True, capture_output=True)
    broker = start("allow_anonymous false", f"password_file {passwords}")
    more = 'username = "gateway"\npassword = { env = "BROKER_PASSWORD" }'
    monkeypatch.setenv("BROKER_PASSWORD", "wrong")
    kit = GatewayKit(tmp_path, source(broker, broker_more=more))
    with kit.running(connect=False):
        until(lambda: kit.problems, "the refusal")
    assert "refuses the connection: Not authorized" in str(kit.problems[0])
    assert "wrong" not in str(kit.problems[0])
    monkeypatch.setenv("BROKER_PASSWORD", "secret")
    with kit.running():
        pass
    monkeypatch.delenv("BROKER_PASSWORD")
    with pytest.raises(ConfigError, match="BROKER_PASSWORD, which is not set"), kit.running():
        pass


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_the_status_topic_tells_whether_the_gateway_is_there(tmp_path: Path, start: Start, version: str) -> None:
    broker = start()
    kit = GatewayKit(tmp_path, source(broker, version=version, broker_more='status_topic = "gateways/1"'))
    heard: list[bytes] = []
    with closing(Publisher(broker)) as watcher:
        watcher.client.on_message = lambda client, userdata, message: heard.append(bytes(message.payload))
        watcher.client.subscribe("gateways/1", qos=1)
        with kit.running():
            until(lambda: heard[-1:] == [b"online"], "online")
        until(lambda: heard[-1:] == [b"offline"], "offline")
        with kit.running():
            until(lambda: heard[-1:] == [b"online"], "online again")
            # The connection breaks without a farewell: the broker publishes the last will.
            kit.connectors[0]._session._client.socket().close()
            until(lambda: heard == [b"online", b"offline", b"online", b"offline", b"online"], "the will and the return")
