"""Data of the demo company: its services with prices and tasks, and the parts of customers' names and addresses.

Names are made up, telephone numbers are reserved for fiction, mail domains cannot be registered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Offer:
    """A service on sale. `quantities`: those billed; `tasks`: names with their share of the price, or None."""

    code: str
    name: str
    unit: str
    price_net: str
    quantities: tuple[str, ...] = ("1",)
    tasks: tuple[tuple[str, str | None], ...] = ()
    description: str = ""
    weight: int = 10


OFFERS: Final = (
    Offer(
        "AKKU-WECHSEL",
        "Battery change service",
        "Stk",
        "150.00",
        tasks=(("Front battery change", "70.00"), ("Rear battery change", "80.00")),
        description="Scooter {scooter}, both packs",
        weight=20,
    ),
    Offer(
        "INSP-JAHR",
        "Jahresinspektion E-Scooter",
        "Stk",
        "89.00",
        tasks=(
            ("Bremsen prüfen und einstellen", None),
            ("Beleuchtung prüfen", None),
            ("Firmware aktualisieren", None),
        ),
        description="Scooter {scooter}",
        weight=14,
    ),
    Offer(
        "REIFEN-H",
        "Reifenwechsel hinten",
        "Stk",
        "64.90",
        tasks=(("Hinterrad aus- und einbauen", "39.90"), ('Reifen 10" x 2,5 (Vollgummi)', "25.00")),
        description="Scooter {scooter}",
        weight=12,
    ),
    Offer(
        "BREMSE-V",
        "Bremsbeläge vorn erneuern",
        "Stk",
        "42.50",
        tasks=(("Beläge; Original oder gleichwertig", "17.50"), ("Einbau", "25.00")),
        description="Scooter {scooter}",
    ),
    Offer(
        "ARBEIT-STD",
        "Arbeitszeit Werkstatt",
        "Std",
        "78.00",
        quantities=("0.333", "0.5", "0.75", "1", "1.25", "2.667"),
        description="Fehlersuche an Scooter {scooter}",
        weight=12,
    ),
    Offer(
        "LADEN-KWH",
        "Ladestrom Akku-Container",
        "kWh",
        "0.34",
        quantities=("18.450", "42.125", "96.3", "133.075"),
        weight=8,
    ),
    Offer(
        "TELEMETRIE",
        "Telemetrie-Datensätze",
        "Stk",
        "0.10",
        quantities=("250", "1000", "1500"),
        description="Flotte „{fleet}“",
        weight=5,
    ),
    Offer("SMS-INFO", "SMS-Benachrichtigungen", "Stk", "0.12", quantities=("85", "1000"), weight=3),
    Offer(
        "UMSETZEN",
        "Umsetzen im Geschäftsgebiet",
        "Stk",
        "3.50",
        quantities=("1", "4", "12", "37"),
        description="Falschparker; Umsetzen nach Vorgabe der Stadt",
        weight=14,
    ),
    Offer(
        "RUECKHOL",
        "Rückholung",
        "Fahrt",
        "49.00",
        description='Scooter {scooter}, Zustand "nicht fahrbereit"',
        weight=8,
    ),
    Offer(
        "LAGER-TAG",
        "Einlagerung",
        "Tage",
        "0.89",
        quantities=("7", "28", "31"),
        description="Stellplatz {place}",
        weight=5,
    ),
    Offer("AKKU-ENTS", "Entsorgung Lithium-Akku", "kg", "6.75", quantities=("2.345", "7.1", "11"), weight=4),
    Offer("AKKU-NEU", "Wechselakku 48 V / 15,3 Ah", "Stk", "389.00", quantities=("1", "2"), weight=4),
    Offer("KULANZ", "Nacharbeit auf Kulanz", "Stk", "0.00", description="Scooter {scooter}", weight=2),
)

FEES: Final = (
    ("late_cancellation", "25.00", "Absage weniger als 24 Stunden vor dem Termin"),
    ("no_show", "35.00", "Scooter {scooter} war am Ort nicht zugänglich"),
    ("late_cancellation", "0.00", "Aus Kulanz erlassen"),
)

FLEETS: Final = ("Mitte", "Süd-Ost", "Campus", "Messe & Hafen")
PROVIDERS: Final = ("Werkstatt Berlin", "Mobiler Service", "Partner Nord")


@dataclass(frozen=True, slots=True)
class Place:
    """A customer's address, and where services are done (`area`). `vat_id`: a pattern, # for a digit."""

    country: str
    zip_code: str
    city: str
    area: str
    state: str | None = None
    vat_id: str = "DE#########"
    phone: str | None = None
    currency: str = "EUR"
    street: str | None = None


HOME_PLACES: Final = (
    Place("DE", "10115", "Berlin", "Berlin Mitte", phone="+49 30 23125 {:03d}"),
    Place("DE", "10999", "Berlin", "Berlin Kreuzberg", phone="+49 30 23125 {:03d}"),
    Place("DE", "20095", "Hamburg", "Hamburg Altona", phone="+49 40 66969 {:03d}"),
    Place("DE", "80331", "München", "München Schwabing", "Bayern", phone="+49 89 99998 {:03d}"),
    Place("DE", "50667", "Köln", "Köln Ehrenfeld", phone="+49 221 4710 {:03d}"),
    Place("DE", "60311", "Frankfurt am Main", "Frankfurt Westend", phone="+49 69 90009 {:03d}"),
    Place("DE", "01067", "Dresden", "Dresden Neustadt", "Sachsen"),
    Place("DE", "04109", "Leipzig", "Leipzig Süd", "Sachsen"),
    Place("DE", "97070", "Würzburg", "Würzburg Frauenland", "Bayern"),
)

FOREIGN_PLACES: Final = (
    Place("AT", "1020", "Wien", "Wien Leopoldstadt", vat_id="ATU########"),
    Place(
        "FR", "67000", "Strasbourg", "Strasbourg Krutenau", vat_id="FR###########", street="Rue des Frères"
    ),
    Place("PL", "00-001", "Warszawa", "Warszawa Śródmieście", vat_id="PL##########", street="ul. Długa"),
    Place("NL", "1012 AB", "Amsterdam", "Amsterdam Centrum", vat_id="NL#########B01", street="Prinsengracht"),
    Place("DK", "2100", "København Ø", "København Østerbro", vat_id="DK########", street="Østerbrogade"),
    Place("CH", "8050", "Zürich", "Zürich Oerlikon", "ZH", vat_id="CHE-###.###.###", currency="CHF"),
    Place(
        "US",
        "10001",
        "New York",
        "New York Chelsea",
        "NY",
        vat_id="",
        phone="+1 212 555 0{:03d}",
        currency="USD",
        street="West 23rd Street",
    ),
)

OUTSIDE_THE_UNION: Final = frozenset({"CH", "US"})

STREETS: Final = (
    "Lindenstraße",
    "Bahnhofstraße",
    "Am Güterbahnhof",
    "Schönhauser Weg",
    "An der Mühle",
    "Goethestraße",
    "Straße des 17. Juni",
    "Hafenpromenade",
)
FIRST_NAMES: Final = (
    "Jürgen",
    "Aylin",
    "Zoë",
    "Łukasz",
    "Marie-Claire",
    "Søren",
    "Anna",
    "Bjørn",
    "Nguyễn",
    "Eva",
)
LAST_NAMES: Final = (
    "Müller",
    "Öztürk",
    "O'Brien",
    "Żółkiewski",
    "von der Heyde",
    "Lefèvre",
    "Schäfer",
    "Groß",
    "Nørgaard",
    "Weiß-Becker",
)
COMPANY_WORDS: Final = (
    "Stadtflitzer",
    "Rollwerk",
    "GrünMobil",
    "Kiezroller",
    "Voltwerk",
    "Leihrad & Roller",
    "Campus-Scooter",
    "Hafenflotte",
    'Elektro "Blitz"',
    "Mobilitätshaus",
    "Nordwind",
    "Zweirad Süd",
)
COMPANY_FORMS: Final = ("GmbH", "GmbH & Co. KG", "UG (haftungsbeschränkt)", "AG", "e. K.", "OHG")
FOREIGN_FORMS: Final = {
    "AT": "GesmbH",
    "FR": "S.A.R.L.",
    "PL": "Sp. z o.o.",
    "NL": "B.V.",
    "DK": "ApS",
    "CH": "AG",
    "US": "Inc.",
}
