"""`bluezone export inspect` on good files, strange files and no files at all."""

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bluezone.commands.export import command
from bluezone.protocol.exports import ExportSigner, write_exports
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import DiagnosisKey, ReportType, TemporaryExposureKey

_VECTOR = json.loads(
    (Path(__file__).parent.parent / "vectors" / "google_server_export.json").read_text()
)
_SECRET = base64.b64encode(b"k" * 16).decode()


def _inspect(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, ["inspect", *map(str, arguments)])


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "testExport-2-records-1-of-1.zip"
    path.write_bytes(base64.b64decode(_VECTOR["zip"]))
    return path


@pytest.fixture
def public_key(tmp_path: Path) -> Path:
    path = tmp_path / "public.pem"
    path.write_text(_VECTOR["public_key_pem"])
    return path


def _write_own(tmp_path: Path, region: str = "VN", end: int = 1_610_672_400) -> Path:
    keys = [
        DiagnosisKey(
            TemporaryExposureKey(bytes([i]) * 16 if i else b"k" * 16, 2_684_448, 144 - i),
            ReportType.CONFIRMED_TEST,
            i - 2 if i else None,
        )
        for i in range(4)
    ]
    signer = ExportSigner(ec.derive_private_key(5, ec.SECP256R1()), "e1")
    (data,) = write_exports(KeyTable.of(keys), 1_610_668_800, end, signer, region)
    path = tmp_path / "own.zip"
    path.write_bytes(data)
    return path


def test_a_published_file_of_another_system(published: Path, public_key: Path) -> None:
    result = _inspect(published, "--public-key", public_key)
    assert result.exit_code == 0
    for line in (
        "period            2020-05-22 15:00:00 UTC to 2020-05-23 15:00:00 UTC",
        "keys              2, sorted",
        "rolling period    1: 1, 114: 1",
        "signature         key some_id 1, 1.2.840.10045.4.3.2: valid",
        "warning           some keys do not start at 00:00 UTC",
    ):
        assert line in result.output


def test_without_a_key_the_signature_is_not_checked(published: Path) -> None:
    result = _inspect(published)
    assert result.exit_code == 0
    assert "1.2.840.10045.4.3.2: not checked" in result.output
    assert json.loads(_inspect(published, "--json").output)["valid"] is None


def test_the_json_says_everything_but_the_keys(tmp_path: Path) -> None:
    path = _write_own(tmp_path)
    result = _inspect(path, "--json")
    report = json.loads(result.output)
    assert report["key_count"] == 4
    assert report["region"] == "VN"
    assert report["by_report_type"] == {"CONFIRMED_TEST": 4}
    assert report["by_days_since_onset"] == {"-1": 1, "0": 1, "1": 1, "unknown": 1}
    assert report["by_rolling_period"] == {"141": 1, "142": 1, "143": 1, "144": 1}
    assert report["by_key_day"] == {"2021-01-15": 4}
    assert report["sorted"] is True
    assert report["warnings"] == []
    assert "keys" not in report
    assert _SECRET not in result.output


def test_keys_are_shown_only_when_asked_for(tmp_path: Path) -> None:
    path = _write_own(tmp_path)
    assert _SECRET not in _inspect(path).output
    assert _SECRET in _inspect(path, "--keys").output
    report = json.loads(_inspect(path, "--keys", "--json").output)
    assert [row["key"] for row in report["keys"]][-1] == _SECRET


def test_a_signature_by_another_key_is_refused(tmp_path: Path, public_key: Path) -> None:
    path = _write_own(tmp_path)
    result = _inspect(path, "--public-key", public_key)
    assert result.exit_code == 1
    assert "own.zip: the signature of key 'e1' does not match the content" in result.stderr
    report = json.loads(_inspect(path, "--public-key", public_key, "--json").stdout)
    assert report["valid"] is False
    assert "does not match" in report["refused"]


def test_a_der_key_is_taken_as_well(published: Path, public_key: Path, tmp_path: Path) -> None:
    der = tmp_path / "public.der"
    key = serialization.load_pem_public_key(public_key.read_bytes())
    der.write_bytes(
        key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    assert json.loads(_inspect(published, "--public-key", der, "--json").output)["valid"] is True


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the file is empty"),
        (b"hello", "not a zip file"),
        (base64.b64decode(_VECTOR["zip"])[:-40], "damaged or truncated zip file"),
    ],
)
def test_what_is_no_key_file(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "strange.zip"
    path.write_bytes(content)
    result = _inspect(path)
    assert result.exit_code == 1
    assert f"refused: strange.zip: {fault}" in result.stderr
    assert "Traceback" not in result.output


def test_files_that_cannot_be_read(tmp_path: Path, published: Path) -> None:
    for arguments, fault in (
        ((tmp_path / "none.zip",), "No such file"),
        ((tmp_path,), "Is a directory"),
        ((published, "--public-key", tmp_path / "none.pem"), "No such file"),
        ((published, "--public-key", published), "not a public key"),
    ):
        result = _inspect(*arguments)
        assert result.exit_code == 1
        assert fault in result.stderr


def test_a_key_of_another_kind(published: Path, tmp_path: Path) -> None:
    path = tmp_path / "rsa.pem"
    key = rsa.generate_private_key(65537, 2048).public_key()
    path.write_bytes(
        key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    result = _inspect(published, "--public-key", path)
    assert result.exit_code == 1
    assert "not an ECDSA P-256 key" in result.stderr


def test_absurd_times_and_terminal_codes_in_a_file_do_no_harm(tmp_path: Path) -> None:
    path = _write_own(tmp_path, region="\x1b[2J\n", end=2**63)
    result = _inspect(path)
    assert result.exit_code == 0
    assert "9223372036854775808 (no Unix time in seconds)" in result.output
    assert "\x1b" not in result.output
