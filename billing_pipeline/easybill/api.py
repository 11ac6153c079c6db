"""The client of EASY Bill's REST API: the few calls this product needs, with typed answers.

Questions are asked again where that is safe; a document is created by exactly one request, and whether to make
another one is the caller's to decide.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import ValidationError

from billing_pipeline.easybill.api_errors import (
    AnswerUnexpected,
    ApiTransient,
    ApiUnavailable,
    NotFound,
    OutcomeUnknown,
    SeveralDocuments,
)
from billing_pipeline.easybill.api_http import MOST_REQUEST_LINE_BYTES, ApiHttp, Endpoint, ExchangeLog, Tries
from billing_pipeline.easybill.api_models import Customer, EasyBillDocument, Login, Page
from billing_pipeline.easybill.layout import cut
from billing_pipeline.easybill.rate_limit import RateLimit

PAGE_SIZE: Final = 1000
_LOOK_AGAIN_AFTER_S: Final = (1.0, 5.0, 15.0)
"""How long EASY Bill may need until a draft whose creation was not answered shows in its lists."""

_Read = TypeVar("_Read", Login, Customer, EasyBillDocument)


def link_to(base_url: str, document_id: int) -> str:
    """Where a person sees a document of the account behind that URL; for the sandbox, where a program does."""
    # Not in the API's description; so link several integrations of others.
    base = "https://app.easybill.de" if urlsplit(base_url).hostname == "api.easybill.de" else base_url
    return f"{base}/documents/{document_id}"


class EasyBillApi:
    """One account. Every method raises ApiPermanent or ApiTransient (`api_errors`)."""

    def __init__(self, http: ApiHttp, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._http = http
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def logins(self) -> list[Login]:
        """Who uses the account; the cheapest question that needs a valid key."""
        return self._list(Endpoint.LIST_LOGINS, [], Login)

    def customers_by_number(self, numbers: Iterable[str]) -> dict[str, list[Customer]]:
        """For each customer number, the customers who have exactly it: one, where all is well.

        Asks for as many numbers at once as a request line holds; some 650 of five digits.
        """
        wanted = sorted(set(numbers))
        found: dict[str, list[Customer]] = {number: [] for number in wanted}
        for filters in self._number_filters(wanted):
            for customer in self._list(Endpoint.LIST_CUSTOMERS, filters, Customer):
                if customer.number in found:
                    found[customer.number].append(customer)
        return found

    def documents(
        self,
        *,
        customer_ids: Collection[int] = (),
        dated: tuple[date, date] | None = None,
        edited: tuple[date, date] | None = None,
    ) -> list[EasyBillDocument]:
        """The invoices, drafts and finished ones, by id; `dated` and `edited` are first and last day, inclusive."""
        filters = [("type", "INVOICE")]
        if customer_ids:
            filters.append(("customer_id", ",".join(str(number) for number in sorted(customer_ids))))
        for name, days in (("document_date", dated), ("edited_at", edited)):
            if days:
                filters.append((name, f"{days[0].isoformat()},{days[1].isoformat()}"))
        return self._list(Endpoint.LIST_DOCUMENTS, filters, EasyBillDocument)

    def document(self, document_id: int) -> EasyBillDocument:
        """One document."""
        answer = self._http.ask(Endpoint.GET_DOCUMENT, document_id=document_id)
        return _read(Endpoint.GET_DOCUMENT, EasyBillDocument, _json(Endpoint.GET_DOCUMENT, answer))

    def pdf(self, document_id: int) -> bytes:
        """A document to look at."""
        answer = self._http.ask(Endpoint.GET_PDF, document_id=document_id)
        if not answer.startswith(b"%PDF-"):
            _unexpected(Endpoint.GET_PDF, "is no PDF")
        return answer

    def find_document(self, *, customer_id: int, order_number: str) -> EasyBillDocument | None:
        """The customer's document of that order, whatever became of it since: edited, finished, cancelled.

        An order's number is its draft's external id and its order number; an imported one has the latter alone. None
        where there is none. The API cannot filter by either, and the date may have been edited, so all the customer's
        invoices are read. Raises SeveralDocuments where more than one has it, which bills somebody twice.
        """
        found = [
            document
            for document in self.documents(customer_ids=[customer_id])
            if order_number in (document.external_id, document.order_number)
        ]
        if len(found) > 1:
            raise SeveralDocuments(
                f"EASY Bill has {len(found)} documents of the order {order_number} (documents "
                f"{', '.join(str(document.id) for document in found)}): remove all but one there"
            )
        return found[0] if found else None

    def find_late_document(self, *, customer_id: int, order_number: str) -> EasyBillDocument | None:
        """As `find_document`, asked several times: for a draft whose creation was not answered, and may yet appear."""
        for pause_s in _LOOK_AGAIN_AFTER_S:
            self._sleep(pause_s)
            found = self.find_document(customer_id=customer_id, order_number=order_number)
            if found is not None:
                return found
        return None

    def tries(self) -> Tries:
        """The tries of one request that the caller is about to make, and may repeat."""
        return self._http.tries()

    def wait_for_turn(self) -> None:
        """Returns when the account's limit lets one request leave. Raises RateLimitExhausted."""
        self._http.wait_for_turn()

    def create_document(self, request: Mapping[str, object]) -> EasyBillDocument:
        """The draft that EASY Bill made of `request` (`draft.draft_request`), in exactly one request. Asked twice, it
        makes two.

        To be called after `wait_for_turn`. Raises OutcomeUnknown where the draft may have been created all the same;
        after any other ApiTransient it was not, and `tries` says whether to ask again.
        """
        body = json.dumps(request, ensure_ascii=False, allow_nan=False).encode()
        answer = self._http.ask_once(Endpoint.CREATE_DOCUMENT, body=body)
        try:
            return _read(Endpoint.CREATE_DOCUMENT, EasyBillDocument, _json(Endpoint.CREATE_DOCUMENT, answer))
        except AnswerUnexpected as fault:
            raise OutcomeUnknown(
                f"{fault}; the draft is there: look for it before creating it again"
            ) from fault

    def delete_document(self, document_id: int, may_go: Callable[[EasyBillDocument], None]) -> bool:
        """Deletes a document that `may_go` lets go, which raises what speaks against it; False where it was not there.

        It is looked at right before each try: deleted by a try whose answer was lost, it is simply gone.
        Raises: what `may_go` raises; ApiError, and then the document may be there or not.
        """
        tries = self._http.tries()
        while True:
            # Both turns first: between the look and the deed nobody is to wait, for people finish drafts.
            self._http.wait_for_turn()
            self._http.wait_for_turn()
            try:
                answer = self._http.ask_once(Endpoint.GET_DOCUMENT, document_id=document_id)
                may_go(_read(Endpoint.GET_DOCUMENT, EasyBillDocument, _json(Endpoint.GET_DOCUMENT, answer)))
                self._http.ask_once(Endpoint.DELETE_DOCUMENT, document_id=document_id)
                return True
            except NotFound:
                return False
            except ApiTransient as fault:
                tries.pause_after(fault)

    def link(self, document: EasyBillDocument) -> str:
        """Where a person sees the document; for the sandbox, where a program does."""
        return link_to(self._http.base_url, document.id)

    def _list(
        self, endpoint: Endpoint, filters: Sequence[tuple[str, str]], model: type[_Read]
    ) -> list[_Read]:
        """All items of a list, page by page, by id."""
        found: dict[int, _Read] = {}
        number, pages, total = 1, 1, 0
        while number <= pages:
            query = _query([("limit", str(PAGE_SIZE)), ("page", str(number)), *filters])
            page = _read(endpoint, Page, _json(endpoint, self._http.ask(endpoint, query=query)))
            for item in page.items:
                one = _read(endpoint, model, item)
                found[one.id] = one
            number, pages, total = number + 1, page.pages, page.total
        if len(found) < total:
            raise ApiUnavailable(
                f"EASY Bill, {' '.join(endpoint.value)}: {len(found)} of {total} entries came, the list changed "
                "while it was read: run again"
            )
        return [found[key] for key in sorted(found)]

    def _number_filters(self, numbers: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
        """As few filters as hold all numbers. One with a comma cannot stand in a list with commas."""
        empty = self._http.path_of(
            Endpoint.LIST_CUSTOMERS, _query([("limit", str(PAGE_SIZE)), ("page", "999")])
        )
        room = MOST_REQUEST_LINE_BYTES - len(f"GET {empty}&number= HTTP/1.1")
        listed = [number for number in numbers if "," not in number]
        for chunk in _chunks(listed, room, each=len(",")):
            yield [("number", ",".join(chunk))]
        for chunk in _chunks(
            [number for number in numbers if "," in number], room, each=len("&number%5B%5D=")
        ):
            yield [("number[]", number) for number in chunk]


def open_api(
    base_url: str,
    api_key: str,
    *,
    rate_limit: RateLimit,
    timeout_s: float = 30.0,
    log: ExchangeLog | None = None,
) -> EasyBillApi:
    """The account behind `api_key` (or `email:key`). Nothing is asked yet."""
    return EasyBillApi(ApiHttp(base_url, api_key, rate_limit=rate_limit, timeout_s=timeout_s, log=log))


def _chunks(texts: Sequence[str], room: int, *, each: int) -> Iterator[list[str]]:
    """The texts in as few groups as fit into `room` bytes, encoded, `each` bytes going with every one."""
    chunk: list[str] = []
    left = room
    for text in texts:
        size = len(quote(text, safe="")) + each
        if chunk and size > left:
            yield chunk
            chunk, left = [], room
        chunk.append(text)
        left -= size
    if chunk:
        yield chunk


def _query(parameters: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe=',')}" for name, value in parameters)


def _json(endpoint: Endpoint, answer: bytes) -> Any:
    try:
        return json.loads(answer, parse_float=Decimal, parse_constant=Decimal)
    except ValueError as fault:
        _unexpected(endpoint, f"is no JSON: {fault}")


_Model = TypeVar("_Model", Page, Login, Customer, EasyBillDocument)


def _read(endpoint: Endpoint, model: type[_Model], value: object) -> _Model:
    try:
        return model.model_validate(value)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        _unexpected(endpoint, f"is not as its description says: {place}: {cut(first['msg'], 200)}")


def _unexpected(endpoint: Endpoint, what: str) -> NoReturn:
    raise AnswerUnexpected(
        f"EASY Bill, {' '.join(endpoint.value)}: the answer {what}; nothing was taken from it"
    )
