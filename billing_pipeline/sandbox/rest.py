"""EASY Bill's REST API v1, as much of it as the pipeline uses, over the same books as the importer.

Paths, fields, filters and statuses follow the published description (1.92.3); a test holds every answer against
it. What it leaves open is answered in the stricter way: a filter it does not publish is a 400. There is no
idempotency key: the same document sent twice is two drafts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from billing_pipeline.sandbox.books import Books
from billing_pipeline.sandbox.drafts import Customer, Draft
from billing_pipeline.sandbox.fault_injection import Faults
from billing_pipeline.sandbox.gate import BASE_PATH, refusal
from billing_pipeline.sandbox.pdf import render_pdf
from billing_pipeline.sandbox.wire_in import Invalid, read_customer, read_document, read_json
from billing_pipeline.sandbox.wire_out import Json, customer_json, document_json, login_json, page_json

_ZONE = ZoneInfo("Europe/Berlin")
_MAX_LIMIT = 1000
_PAGING = ("limit", "page")
_DATE_FILTERS = frozenset({"document_date", "paid_at", "edited_at", "created_at"})
_CUSTOMER_FILTERS = (
    "group_id", "additional_group_id", "number", "country", "zip_code", "emails", "first_name", "last_name",
    "company_name", "created_at",
)  # fmt: skip
_DOCUMENT_FILTERS = (
    "type", "is_draft", "is_archive", "customer_id", "project_id", "ref_id", "document_date", "paid_at", "title",
    "number", "cancel_id", "fulfillment_country", "vat_country", "shipping_country", "status", "edited_at",
)  # fmt: skip

Filters = Mapping[str, tuple[str, ...]]


class RestApi:
    """The endpoints. Answers show the books through the faults in force."""

    def __init__(self, books: Books, faults: Faults, *, email: str) -> None:
        self._books = books
        self._faults = faults
        self._email = email

    def app(self) -> Starlette:
        """The application, without credentials or limits: those are the gate's."""
        routes = [
            Route("/logins", self.logins),
            Route("/logins/{id:int}", self.login),
            Route("/customers", self.customers),
            Route("/customers", self.create_customer, methods=["POST"]),
            Route("/customers/{id:int}", self.customer),
            Route("/documents", self.documents),
            Route("/documents", self.create_document, methods=["POST"]),
            Route("/documents/{id:int}", self.document),
            Route("/documents/{id:int}", self.delete_document, methods=["DELETE"]),
            Route("/documents/{id:int}/pdf", self.pdf),
            Route("/documents/{id:int}/done", self.finalise, methods=["PUT"]),
        ]
        return Starlette(
            routes=[Mount(BASE_PATH, routes=routes)],
            exception_handlers={HTTPException: _http_error, Invalid: _invalid},
        )

    async def logins(self, request: Request) -> Response:
        """The account's one login."""
        page, limit, _ = _list_query(request, ())
        items = [login_json(self._email)] if page == 1 else []
        return JSONResponse(page_json(items, page=page, limit=limit, total=1))

    async def login(self, request: Request) -> Response:
        """The one login."""
        if _id(request) != 1:
            raise HTTPException(404)
        return JSONResponse(login_json(self._email))

    async def customers(self, request: Request) -> Response:
        """Customers and suppliers, by id."""
        page, limit, filters = _list_query(request, _CUSTOMER_FILTERS)
        found = [shown for shown in map(customer_json, self._books.customers()) if _selected(shown, filters)]
        items = found[(page - 1) * limit : page * limit]
        return JSONResponse(page_json(items, page=page, limit=limit, total=len(found)))

    async def create_customer(self, request: Request) -> Response:
        """A new customer, with the next free number where none was sent."""
        card = read_customer(read_json(await request.body()))
        taken = {customer.number for customer in self._books.customers()}
        number = str(card.pop("number", "") or _next_number(taken))
        if number in taken:
            raise Invalid(f"customer: number {number} is taken")
        return JSONResponse(customer_json(self._books.add_customer(number, card)), status_code=201)

    async def customer(self, request: Request) -> Response:
        """One customer."""
        customer = self._customers().get(_id(request))
        if customer is None:
            raise HTTPException(404)
        return JSONResponse(customer_json(customer))

    async def documents(self, request: Request) -> Response:
        """Documents by id, with their items."""
        page, limit, filters = _list_query(request, _DOCUMENT_FILTERS)

        def wanted(draft: Draft) -> bool:
            return not self._faults.is_lost(draft.order_number) and _selected(
                document_json(draft, None), filters
            )

        drafts, total = self._books.documents(wanted, offset=(page - 1) * limit, limit=limit)
        items = self._shown(*drafts)
        return JSONResponse(page_json(items, page=page, limit=limit, total=total))

    async def create_document(self, request: Request) -> Response:
        """A new draft."""
        new = read_document(read_json(await request.body()), today=datetime.now(_ZONE).date())
        if new.customer_id is not None and new.customer_id not in self._customers():
            raise Invalid(f"document: there is no customer with id {new.customer_id}")
        new_id = self._books.add_document(new)
        created, _ = self._books.documents(lambda draft: draft.id == new_id)
        return JSONResponse(self._shown(*created)[0], status_code=201)

    async def document(self, request: Request) -> Response:
        """One document."""
        return JSONResponse(self._shown(self._document_of(_id(request)))[0])

    async def delete_document(self, request: Request) -> Response:
        """Removes a draft. Of a finished invoice the description says nothing; here it is refused, as the law would."""
        document = self._document_of(_id(request))
        if not document.is_draft:
            raise Invalid(f"document: {document.number} is finished, and can only be cancelled")
        self._books.delete_document(document.id)
        return Response(status_code=204)

    async def pdf(self, request: Request) -> Response:
        """One document to look at."""
        return Response(render_pdf(self._document_of(_id(request))), media_type="application/pdf")

    async def finalise(self, request: Request) -> Response:
        """Makes an invoice of a draft. The pipeline must never call it: the journal holds it as a violation."""
        document = self._document_of(_id(request))
        self._books.finalise(document.id)
        return JSONResponse(self._shown(self._document_of(document.id))[0])

    def _document_of(self, document_id: int) -> Draft:
        found, _ = self._books.documents(
            lambda draft: draft.id == document_id and not self._faults.is_lost(draft.order_number)
        )
        if not found:
            raise HTTPException(404)
        return found[0]

    def _customers(self) -> dict[int, Customer]:
        return {customer.id: customer for customer in self._books.customers()}

    def _shown(self, *drafts: Draft) -> list[Json]:
        customers = self._customers()
        return [
            document_json(
                draft,
                None if draft.customer_id is None else customers[draft.customer_id],
                amount_off_by=self._faults.amount_off_by(draft.order_number),
            )
            for draft in drafts
        ]


def _list_query(request: Request, published: tuple[str, ...]) -> tuple[int, int, Filters]:
    """Page, limit and the filters of a list call; several values come with commas or as `name[]`."""
    parameters = request.query_params
    if unknown := {name.removesuffix("[]") for name in parameters} - {*published, *_PAGING}:
        raise Invalid(f"not a published parameter of this list: {', '.join(sorted(unknown))}")
    separator = r"(?<!\\)," if request.headers.get("x-easybill-escape") == "true" else ","
    filters = {}
    for name in published:
        values = [
            part.replace("\\,", ",")
            for text in parameters.getlist(name)
            for part in re.split(separator, text)
        ]
        values += parameters.getlist(f"{name}[]")
        if values:
            filters[name] = tuple(values)
    return _number(parameters, "page", 1, None), _number(parameters, "limit", 100, _MAX_LIMIT), filters


def _number(parameters: QueryParams, name: str, default: int, maximum: int | None) -> int:
    text = parameters.get(name, str(default))
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < 1 or (maximum is not None and int(text) > maximum):
        raise Invalid(f"{name} cannot be {text!r}")
    return int(text)


def _selected(shown: Json, filters: Filters) -> bool:
    return all(_matches(name, shown.get(name), wanted) for name, wanted in filters.items())


def _matches(name: str, value: object, wanted: tuple[str, ...]) -> bool:
    if value is None:
        return "null" in wanted
    if name in _DATE_FILTERS:
        return min(wanted) <= str(value)[:10] <= max(wanted)
    if isinstance(value, bool):
        return str(int(value)) in wanted
    if isinstance(value, list):
        return not set(wanted).isdisjoint(map(str, value))
    return str(value) in wanted


def _next_number(taken: set[str]) -> int:
    return 1 + max((int(number) for number in taken if number.isdecimal()), default=10_000)


def _id(request: Request) -> int:
    path_id: int = request.path_params["id"]
    return path_id


async def _http_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return refusal(error.status_code, error.detail)


async def _invalid(_request: Request, error: Exception) -> Response:
    return refusal(400, str(error))
