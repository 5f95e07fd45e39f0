"""Feed hostile bytes to every reader: `python -m tests.fuzz.fuzz_readers -runs=100000`.

A reader may refuse with its own error and nothing else. Any libFuzzer option is passed on;
the corpus and inputs that crash are kept under build/fuzz.
"""

import base64
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import atheris
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

with atheris.instrument_imports(include=["bluezone.protocol"]):
    from bluezone.protocol import export_pb2
    from bluezone.protocol.beacon import decode_advertisement, encode_advertisement
    from bluezone.protocol.deployment import EXPORT_HEADER, TAG_CERTIFICATE, TAG_INDEX
    from bluezone.protocol.envelope import seal
    from bluezone.protocol.exports import ExportError, read_export
    from bluezone.protocol.index import Index, IndexedFile, IndexRefused, read_index, seal_index
    from bluezone.protocol.trust import (
        Pins,
        Role,
        RoleCertificate,
        TrustError,
        encode_public_key,
        issue_certificates,
        key_id,
        read_certificates,
    )

_KEY = ec.derive_private_key(1, ec.SECP256R1())
_ROOT_ID = key_id(_KEY.public_key())
_PINS = Pins({_ROOT_ID: _KEY.public_key()})
_CERTIFICATES = issue_certificates(
    [RoleCertificate(Role.EXPORT, "e1", encode_public_key(_KEY.public_key()), 0, 2**40)],
    1,
    _KEY,
    _ROOT_ID,
)
_TRUST = read_certificates(_CERTIFICATES, _PINS)
_INDEX = seal_index(Index(1, 0, 10, 5, 5, (IndexedFile("a.zip", "0" * 64, 5, 1),)), "e1", _KEY)
_EXPORT_KEYS = {"e1": _KEY.public_key()}
_GOOGLE = json.loads(
    (Path(__file__).parent.parent / "vectors" / "google_server_export.json").read_text()
)


def _zip(content: bytes, signature_list: bytes) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        archive.writestr("export.bin", content)
        archive.writestr("export.sig", signature_list)
    return output.getvalue()


def _sign(content: bytes) -> bytes:
    entry = export_pb2.TEKSignature(
        signature_info=export_pb2.SignatureInfo(verification_key_id="e1"),
        signature=_KEY.sign(content, ec.ECDSA(hashes.SHA256())),
    )
    return export_pb2.TEKSignatureList(signatures=[entry]).SerializeToString()


def _export_file(data: bytes) -> None:
    try:
        read_export(data, "fuzz", None)
    except ExportError:
        return


def _export_content(data: bytes) -> None:
    """Past the signature, where only a publisher gone wrong could bring it."""
    content = EXPORT_HEADER + data
    try:
        export = read_export(_zip(content, _sign(content)), "fuzz", _EXPORT_KEYS)
    except ExportError:
        return
    for table in (export.keys, export.revised):
        assert table.key.shape == (len(table), 16)
        assert ((table.rolling_period >= 1) & (table.rolling_period <= 144)).all()
        assert all(table)  # every row can be made an object


def _export_signature(data: bytes) -> None:
    try:
        read_export(_zip(EXPORT_HEADER + b"\x08\x00", data), "fuzz", _EXPORT_KEYS)
    except ExportError:
        return
    raise AssertionError("a signature was forged")


def _index(data: bytes) -> None:
    for document in (data, seal(TAG_INDEX, data, "e1", _KEY)):
        try:
            read_index(document, _TRUST, 5, last_sequence=0)
        except IndexRefused:
            continue


def _certificates(data: bytes) -> None:
    for document in (data, seal(TAG_CERTIFICATE, data, _ROOT_ID, _KEY)):
        try:
            read_certificates(document, _PINS)
        except TrustError:
            continue


def _advertisement(data: bytes) -> None:
    payload = decode_advertisement(data)
    assert payload is None or (len(payload) == 20 and payload in data)


_READERS: tuple[Callable[[bytes], None], ...] = (
    _export_file,
    _export_content,
    _export_signature,
    _index,
    _certificates,
    _advertisement,
)


def read_one(data: bytes) -> None:
    """The first byte chooses the reader, the rest is its input."""
    if data:
        _READERS[data[0] % len(_READERS)](data[1:])


def _seeds() -> list[bytes]:
    google = base64.b64decode(_GOOGLE["zip"])
    with zipfile.ZipFile(io.BytesIO(google)) as archive:
        content, signature_list = archive.read("export.bin"), archive.read("export.sig")
    index, certificates = (
        base64.b64decode(json.loads(document)["payload"]) for document in (_INDEX, _CERTIFICATES)
    )
    inputs = (
        (_export_file, google),
        (_export_content, content[16:]),
        (_export_signature, signature_list),
        (_index, _INDEX),
        (_index, index),
        (_certificates, _CERTIFICATES),
        (_certificates, certificates),
        (_advertisement, encode_advertisement(bytes(20))),
    )
    return [bytes([_READERS.index(reader)]) + data for reader, data in inputs]


def main() -> None:
    """Run libFuzzer with the options of the command line."""
    folder = Path("build/fuzz")
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(_seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([*sys.argv, f"-artifact_prefix={folder}/", str(corpus)], read_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
