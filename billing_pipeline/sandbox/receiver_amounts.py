"""EASY Bill's arithmetic: a price times a quantity, and what a document's lines add up to. Cents, no I/O.

Both bases of EASY Bill's `calc_vat_from`, in integer cents (hundredths of the currency unit, whatever its own
number of decimals), rounded half away from zero:

- gross: line gross = quantity x gross price; line net = line gross / (1 + rate); VAT is the difference; a
  document's amounts are the sums of its lines'.
- net: line net = quantity x net price; VAT per rate = sum of the nets of that rate x rate (EN 16931).

**Is a net amount recovered on the gross basis?** Yes, always, where line gross = round(net x (1 + r)) of an
integer net and r >= 0. That gross is off net x (1 + r) by at most 1/2, so gross / (1 + r) is off net by at most
1/2 / (1 + r): less than 1/2 where r > 0, so it rounds to net; where r = 0 the two are equal anyway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

Basis = Literal["gross", "net"]


@dataclass(frozen=True, slots=True)
class Amounts:
    """Net, VAT and gross of a line or a document, in cents; net + vat = gross."""

    net: int
    vat: int
    gross: int


def half_up(cents: Decimal) -> int:
    """The nearest integer; ties away from zero, as invoices are rounded."""
    return int(cents.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def line_amounts(quantity: Decimal, price: Decimal, vat_percent: Decimal, basis: Basis) -> Amounts:
    """What one line comes to; `price` in cents on `basis`.

    On the net basis the line's VAT is for display: a document's VAT is computed per rate, by `document_amounts`.
    """
    if basis == "gross":
        gross = half_up(quantity * price)
        net = half_up(gross * 100 / (100 + vat_percent))
        return Amounts(net, gross - net, gross)
    net = half_up(quantity * price)
    vat = half_up(net * vat_percent / 100)
    return Amounts(net, vat, net + vat)


def document_amounts(lines: Iterable[tuple[Decimal, Amounts]], basis: Basis) -> Amounts:
    """What a document comes to; `lines` are pairs of a VAT rate in per cent and the line's amounts."""
    net_of_rate: defaultdict[Decimal, int] = defaultdict(int)
    vat = 0
    for vat_percent, amounts in lines:
        net_of_rate[vat_percent] += amounts.net
        vat += amounts.vat
    net = sum(net_of_rate.values())
    if basis == "net":
        vat = sum(half_up(net_of_rate[rate] * rate / 100) for rate in net_of_rate)
    return Amounts(net, vat, net + vat)
