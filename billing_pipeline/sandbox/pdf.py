"""A document as the smallest PDF that shows it: one page, a few lines of text. For `documents/{id}/pdf`."""

from __future__ import annotations

from billing_pipeline.sandbox.drafts import Draft


def render_pdf(draft: Draft) -> bytes:
    """One A4 page: what the document is, for whom, and what it comes to. Text beyond Latin-1 shows as `?`."""
    lines = [
        "Draft" if draft.is_draft else f"Invoice {draft.number}",
        f"Order {draft.order_number}, customer {draft.customer_number}",
        f"Net {_decimal(draft.net)}, VAT {_decimal(draft.vat)}, gross {_decimal(draft.gross)} {draft.currency}",
    ]
    shown = "".join(f"({_escaped(line)}) Tj T* " for line in lines)
    content = f"BT /F1 12 Tf 16 TL 56 780 Td {shown}ET".encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    pdf = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(pdf))
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return (
        pdf
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (
            len(objects) + 1,
            entries,
            len(objects) + 1,
            len(pdf),
        )
    )


def _decimal(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"


def _escaped(text: str) -> str:
    return (
        text.replace("\\", r"\\")
        .replace("(", r"\(")
        .replace(")", r"\)")
        .replace("\n", " ")
        .replace("\r", " ")
    )
