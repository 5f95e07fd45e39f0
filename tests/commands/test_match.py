"""`bluezone match` on key files it could meet, and on files it must refuse."""

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bluezone.cli import main
from bluezone.protocol.beacon import encode_metadata
from bluezone.protocol.exports import ExportSigner, write_exports
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import (
    DiagnosisKey,
    TemporaryExposureKey,
    associated_encrypted_metadata_key,
    crypt_metadata,
    rolling_proximity_identifiers,
)

_PUBLISHED = Path(__file__).parents[1] / "vectors" / "google_server_export.json"
_START = 2_642_976
_MIDNIGHT = _START * 600  # UTC; 07:00 in Vietnam
_TEK = TemporaryExposureKey(bytes(range(16)), _START, 144)
_YESTERDAY = TemporaryExposureKey(bytes(16), _START - 144, 144)


def _identifier(tek: TemporaryExposureKey, time: int) -> bytes:
    offset = time // 600 - tek.rolling_start
    return rolling_proximity_identifiers(tek)[16 * offset : 16 * offset + 16]


def _beacon(tek: TemporaryExposureKey, time: int, tx_power: int) -> bytes:
    rpi = _identifier(tek, time)
    aem_key = associated_encrypted_metadata_key(tek.key)
    return rpi + crypt_metadata(aem_key, rpi, encode_metadata(tx_power))


def _pem(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.fixture(scope="module")
def signer() -> ExportSigner:
    return ExportSigner(ec.generate_private_key(ec.SECP256R1()), "452")


@pytest.fixture
def export(tmp_path: Path, signer: ExportSigner) -> Path:
    table = KeyTable.of([DiagnosisKey(_TEK), DiagnosisKey(_YESTERDAY)])
    (data,) = write_exports(table, _MIDNIGHT, _MIDNIGHT + 86_400, signer, "CH")
    path = tmp_path / "export.zip"
    path.write_bytes(data)
    return path


def _seen(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "seen.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["match", *map(str, arguments)])


def test_matches_by_vietnamese_day(tmp_path: Path, export: Path) -> None:
    evening = _MIDNIGHT - 12 * 3600  # 19:00 the day before in Vietnam, yesterday's key
    times = [(_YESTERDAY, evening + 240 * i) for i in range(3)]
    times += [(_TEK, _MIDNIGHT + 18 * 3600)]  # 01:00 the day after in Vietnam, the same UTC day
    lines = [
        f"{_identifier(tek, time).hex()},{time},{-70 - i}" for i, (tek, time) in enumerate(times)
    ]
    lines.insert(1, f"{bytes(16).hex()},{evening + 60},-40")
    seen = _seen(tmp_path, "identifier,unix time,RSSI", *lines)
    result = _run("--seen", seen, "--json", export)
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["sightings"] == 5
    assert answer["matched_lines"] == [2, 4, 5, 6]
    unknown = {"attenuation_mean": None, "attenuation_min": None}
    assert answer["days"] == [
        {
            "day": "2020-04-01",
            "keys": 1,
            "sightings": 3,
            "minutes": 7.0,  # (180 + 240) s: the first line stands for nothing
            "rssi_mean": -71.0,
            "rssi_max": -70,
            **unknown,
        },
        {
            "day": "2020-04-03",
            "keys": 1,
            "sightings": 1,
            "minutes": 5.0,  # never more than five
            "rssi_mean": -73.0,
            "rssi_max": -73,
            **unknown,
        },
    ]


def test_metadata_behind_the_identifier_tells_attenuation(tmp_path: Path, export: Path) -> None:
    lines = [f"{_beacon(_TEK, _MIDNIGHT + t, -8).hex()},{_MIDNIGHT + t},-70" for t in (0, 300)]
    result = _run("--seen", _seen(tmp_path, *lines), "--json", export)
    (day,) = json.loads(result.stdout)["days"]
    assert (day["attenuation_mean"], day["attenuation_min"]) == (62.0, 62.0)
    text = _run("--seen", _seen(tmp_path, *lines), export).stdout
    assert "62.0 dB" in text
    assert "signatures not checked" in text


def test_a_published_file_of_another_system(tmp_path: Path) -> None:
    published = json.loads(_PUBLISHED.read_text(encoding="utf-8"))
    file, pem = tmp_path / "other.zip", tmp_path / "other.pem"
    file.write_bytes(base64.b64decode(published["zip"]))
    pem.write_text(published["public_key_pem"], encoding="utf-8")
    lines = []
    for entry in published["keys"]:
        start, period = entry["rollingStartNumber"], entry["rollingPeriod"]
        tek = TemporaryExposureKey(base64.b64decode(entry["key"]), start, period)
        last = (start + period - 1) * 600
        lines.append(f"{_identifier(tek, last).hex()},{last},-70")
    result = _run("--seen", _seen(tmp_path, *lines), "--public-key", pem, "--json", file)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["matched_lines"] == [1, 2]


def test_no_match_is_no_error(tmp_path: Path, export: Path) -> None:
    result = _run("--seen", _seen(tmp_path, f"{bytes(16).hex()},{_MIDNIGHT},-70"), export)
    assert result.exit_code == 0
    assert "matching: 0" in result.stdout


def test_an_empty_file_of_sightings_matches_nothing(tmp_path: Path, export: Path) -> None:
    result = _run("--seen", _seen(tmp_path, ""), "--json", export)
    assert (result.exit_code, json.loads(result.stdout)["days"]) == (0, [])


def test_the_same_file_twice_counts_once(tmp_path: Path, export: Path) -> None:
    seen = _seen(tmp_path, f"{_identifier(_TEK, _MIDNIGHT).hex()},{_MIDNIGHT},-70")
    (day,) = json.loads(_run("--seen", seen, "--json", export, export).stdout)["days"]
    assert (day["keys"], day["sightings"]) == (1, 1)


def test_signatures_are_checked_with_a_public_key(
    tmp_path: Path, export: Path, signer: ExportSigner
) -> None:
    seen = _seen(tmp_path, f"{bytes(16).hex()},{_MIDNIGHT},-70")
    pem = tmp_path / "key.pem"
    pem.write_bytes(_pem(signer.private_key.public_key()))
    right = _run("--seen", seen, "--public-key", pem, export)
    assert right.exit_code == 0
    assert "signatures checked" in right.stdout
    pem.write_bytes(_pem(ec.generate_private_key(ec.SECP256R1()).public_key()))
    wrong = _run("--seen", seen, "--public-key", pem, export)
    assert wrong.exit_code == 1
    assert f"Error: {export}: the signature of key '452' does not match" in wrong.stderr


def test_a_refused_file_is_named_and_the_others_are_matched(tmp_path: Path, export: Path) -> None:
    cut = tmp_path / "cut.zip"
    cut.write_bytes(export.read_bytes()[:100])
    missing = tmp_path / "missing.zip"
    seen = _seen(tmp_path, f"{_identifier(_TEK, _MIDNIGHT).hex()},{_MIDNIGHT},-70")
    result = _run("--seen", seen, "--json", cut, missing, export)
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer["matched_sightings"] == 1
    assert [str(cut) in answer["refused"][0], str(missing) in answer["refused"][1]] == [True, True]
    assert "missing.zip: No such file or directory" in result.stderr


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("ab,1585785600,-70", "the identifier has 2 characters, not 32 (or 40)"),
        (f"{'zz' * 16},1585785600,-70", "the identifier is not hexadecimal"),
        (f"{'ab' * 15} a,1585785600,-70", "the identifier is not hexadecimal"),
        (f"{'ab' * 16},1585785600", "2 columns, not 3"),
        (f"{'ab' * 16},yesterday,-70", "the time 'yesterday' is not a number of Unix seconds"),
        (f"{'ab' * 16},nan,-70", "the time 'nan' is not a number"),
        (f"{'ab' * 16},1585785600000,-70", "divide milliseconds by 1000"),
        (f"{'ab' * 16},-1,-70", "the time '-1' is outside"),
        (f"{'ab' * 16},1585785600,loud", "the RSSI 'loud' is not a number of dBm"),
        (f"{'ab' * 16},1585785600,inf", "the RSSI 'inf' is not a number of dBm"),
        (f"{'ab' * 16},1585785600,127", "the RSSI '127' is outside -127..20 dBm"),
        ('"ab', "not CSV"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, export: Path, line: str, fault: str) -> None:
    good = f"{'cd' * 16},1585785600,-70"
    result = _run("--seen", _seen(tmp_path, good, line), export)
    assert result.exit_code == 1
    assert "seen.csv: " in result.stderr
    assert "line 2: " in result.stderr
    assert fault in result.stderr
    assert "abab" not in result.stderr  # identifiers stay out of errors
    assert result.stdout == ""


def test_a_damaged_first_line_is_not_taken_for_a_header(tmp_path: Path, export: Path) -> None:
    result = _run("--seen", _seen(tmp_path, f"{'ab' * 16},yesterday,loud"), export)
    assert result.exit_code == 1
    assert "line 1: the time" in result.stderr


def test_ten_faults_are_shown_and_all_counted(tmp_path: Path, export: Path) -> None:
    result = _run("--seen", _seen(tmp_path, *["x,1,1"] * 13), export)
    assert "13 lines cannot be read" in result.stderr
    assert result.stderr.count("line ") == 10
    assert "and 3 more" in result.stderr


def test_files_that_are_not_text_or_not_keys_are_named(tmp_path: Path, export: Path) -> None:
    binary = _run("--seen", export, export)
    assert (binary.exit_code, "not UTF-8 text" in binary.stderr) == (1, True)
    missing = _run("--seen", tmp_path / "none.csv", export)
    assert missing.exit_code == 1
    assert missing.stderr == f"Error: {tmp_path / 'none.csv'}: No such file or directory\n"
    seen = _seen(tmp_path, "")
    junk = _run("--seen", seen, "--public-key", seen, export)
    assert (junk.exit_code, "not a public key in PEM" in junk.stderr) == (1, True)
    pem = tmp_path / "rsa.pem"
    pem.write_bytes(_pem(rsa.generate_private_key(65537, 2048).public_key()))
    other = _run("--seen", seen, "--public-key", pem, export)
    assert (other.exit_code, "not an ECDSA P-256 key" in other.stderr) == (1, True)
