"""Two small payloads: what somebody attests about a twin, and a device's admission of a loss.

    attestation  {"type": IRI, ? "text": text, ? "document": {"sha256": digest, "media_type": text, ? "location": IRI},
                  ? "valid_until": s}
    resume       {"reason": text}

An attestation's type names what is claimed (an airworthiness release, an inspection, a certificate);
its document stays outside, bound by its digest. A resume is what a device says first after it lost
its own record of its stream: it went on from the log's head, and whatever it had recorded but not
delivered is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from twinproof.proof import cbor
from twinproof.twin.fields import digest, fields, posix_time, text
from twinproof.twin.statement import check_iri, check_media_type

ATTESTATION: Final = "application/vnd.twinproof.attestation+cbor"
RESUME: Final = "application/vnd.twinproof.resume+cbor"
OVERHAUL: Final = "urn:twinproof:overhaul"
"""Type of the attestation that begins a new history of an asset: spec/prediction.md."""
MAX_TEXT: Final = 4000
"""Characters."""
MAX_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class Document:
    """A document outside the log."""

    sha256: bytes
    media_type: str
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Attestation:
    """What an attestation statement says."""

    type: str
    text: str | None = None
    document: Document | None = None
    valid_until: int | None = None
    """POSIX seconds."""


@dataclass(frozen=True, slots=True)
class Resume:
    """What a resume statement says."""

    reason: str


def format_attestation(attestation: Attestation) -> bytes:
    """The payload of an attestation statement."""
    value: dict[int | str, cbor.Value] = {"type": attestation.type}
    if attestation.text is not None:
        value["text"] = attestation.text
    if attestation.valid_until is not None:
        value["valid_until"] = attestation.valid_until
    if attestation.document is not None:
        document: dict[int | str, cbor.Value] = {
            "sha256": attestation.document.sha256,
            "media_type": attestation.document.media_type,
        }
        if attestation.document.location is not None:
            document["location"] = attestation.document.location
        value["document"] = document
    return cbor.encode(value)


def parse_attestation(payload: bytes, issued_at: int = 0) -> Attestation:
    """Read an attestation payload; raises `Malformed`."""
    value = fields(
        cbor.decode(payload, what="attestation"), "attestation", ("type",), ("text", "document", "valid_until")
    )
    return Attestation(
        type=check_iri(value["type"], "attestation.type"),
        text=text(value["text"], "attestation.text", MAX_TEXT) if "text" in value else None,
        document=_parse_document(value["document"]) if "document" in value else None,
        valid_until=posix_time(value["valid_until"], "attestation.valid_until") if "valid_until" in value else None,
    )


def _parse_document(value: cbor.Value) -> Document:
    field = "attestation.document"
    value = fields(value, field, ("sha256", "media_type"), ("location",))
    return Document(
        digest(value["sha256"], f"{field}.sha256"),
        check_media_type(value["media_type"], f"{field}.media_type"),
        check_iri(value["location"], f"{field}.location") if "location" in value else None,
    )


def format_resume(resume: Resume) -> bytes:
    """The payload of a resume statement."""
    return cbor.encode({"reason": resume.reason})


def parse_resume(payload: bytes, issued_at: int = 0) -> Resume:
    """Read a resume payload; raises `Malformed`."""
    value = fields(cbor.decode(payload, what="resume"), "resume", ("reason",))
    return Resume(text(value["reason"], "resume.reason", MAX_REASON))
