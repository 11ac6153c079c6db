-- The OMS behind this home, for SQLite. Run as a whole it is the OMS as it was at the end; make_home.sh runs the part
-- above the line "Later" before the month 2026-08 is billed, and the rest after it.

CREATE TABLE customers (
  customer_number TEXT NOT NULL,
  company_name TEXT,
  first_name TEXT,
  last_name TEXT,
  street TEXT,
  zip_code TEXT,
  city TEXT,
  state TEXT,
  country TEXT,
  email TEXT,
  phone TEXT,
  vat_id TEXT,
  tax_type TEXT,
  currency TEXT NOT NULL,
  payment_type TEXT,
  is_test BOOLEAN NOT NULL,
  PRIMARY KEY (customer_number)
);

CREATE TABLE services (
  service_id TEXT NOT NULL,
  customer_number TEXT NOT NULL,
  service_code TEXT,
  service_name TEXT NOT NULL,
  description TEXT,
  status TEXT NOT NULL,
  sub_status TEXT,
  completed_at TEXT,
  cancelled_at TEXT,
  quantity TEXT NOT NULL,
  unit TEXT,
  unit_price_net TEXT,
  vat_percent TEXT,
  currency TEXT NOT NULL,
  cost_center TEXT,
  location TEXT,
  provider TEXT,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (service_id)
);

CREATE TABLE service_tasks (
  service_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  task_name TEXT NOT NULL,
  price_net TEXT,
  PRIMARY KEY (service_id, position)
);

CREATE TABLE cancellation_fees (
  fee_id TEXT NOT NULL,
  service_id TEXT,
  customer_number TEXT NOT NULL,
  fee_type TEXT NOT NULL,
  description TEXT,
  amount_net TEXT NOT NULL,
  vat_percent TEXT,
  currency TEXT NOT NULL,
  charged_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (fee_id)
);

INSERT INTO customers (customer_number, company_name, first_name, last_name, city, country, tax_type, currency, is_test) VALUES
  ('10001', 'Zugestellt & Söhne GmbH', NULL, NULL, 'Köln', 'DE', NULL, 'EUR', 0),
  ('10002', 'Rabatt GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10003', 'Ohne Preis GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10004', 'Storniert GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10005', 'Ausgelassen GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10006', 'Nachzügler GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10007', 'Nachher Anders GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10008', 'Korrektur GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10009', NULL, 'Ungesendete', 'Datei', 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10010', 'Fremde Datei GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10011', 'Fremde Datei Freigegeben GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10012', 'Gesichtet GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10013', 'Gesichtet Und Offen GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10014', 'Anders Gesichtet GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10015', 'Im Archiv Gesichtet AG', NULL, NULL, 'Zürich', 'CH', 'export', 'CHF', 0),
  ('10016', 'Beim Hochladen Gestorben GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10017', 'Vor Dem Umbenennen Gestorben GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10018', 'Nach Dem Umbenennen Gestorben GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10019', 'Zum Senden Freigegeben GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0),
  ('10020', 'Anders Und So Gelassen GmbH', NULL, NULL, 'Berlin', 'DE', NULL, 'EUR', 0);

INSERT INTO services (service_id, customer_number, service_code, service_name, description, status, completed_at, cancelled_at, quantity, unit, unit_price_net, vat_percent, currency, updated_at) VALUES
  ('SV-01-1', '10001', 'BAT', 'Battery change service', 'Hof; "Tor 3", bitte klingeln', 'completed', '2026-08-03T08:30:00Z', NULL, '1', NULL, '150.00', '19.00', 'EUR', '2026-08-03T09:00:00Z'),
  ('SV-01-2', '10001', 'KM', 'Transport', NULL, 'completed', '2026-08-31T21:59:59Z', NULL, '12.5', 'km', '1.19', '19.00', 'EUR', '2026-08-31T22:10:00Z'),
  ('SV-01-3', '10001', 'BAT', 'Battery change service', NULL, 'completed', '2026-09-14T08:30:00Z', NULL, '2', NULL, '150.00', '19.00', 'EUR', '2026-09-14T09:00:00Z'),
  ('SV-02-1', '10002', 'REP', 'Repair', NULL, 'completed', '2026-08-05T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-08-05T09:00:00Z'),
  ('SV-02-2', '10002', 'REP', 'Repair under warranty', NULL, 'completed', '2026-08-06T08:30:00Z', NULL, '1', NULL, '60.00', '19.00', 'EUR', '2026-08-06T09:00:00Z'),
  ('SV-03-1', '10003', 'REP', 'Repair', NULL, 'completed', '2026-08-07T08:30:00Z', NULL, '1', NULL, NULL, '19.00', 'EUR', '2026-08-07T09:00:00Z'),
  ('SV-03-2', '10003', 'REP', 'Repair', NULL, 'completed', '2026-08-08T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-08-08T09:00:00Z'),
  ('SV-04-1', '10004', 'REP', 'Repair', NULL, 'cancelled', '2026-08-10T08:30:00Z', '2026-08-10T08:00:00Z', '1', NULL, '80.00', '19.00', 'EUR', '2026-08-10T09:00:00Z'),
  ('SV-05-1', '10005', 'REP', 'Repair', NULL, 'completed', '2026-08-11T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-08-11T09:00:00Z'),
  ('SV-05-2', '10005', 'REP', 'Repair', NULL, 'completed', '2026-09-11T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-09-11T09:00:00Z'),
  ('SV-06-1', '10006', 'REP', 'Repair', NULL, 'completed', '2026-08-12T08:30:00Z', NULL, '1', NULL, '80.00', '7.00', 'EUR', '2026-08-12T09:00:00Z'),
  ('SV-06-2', '10006', 'REP', 'Repair', NULL, 'completed', '2026-09-12T08:30:00Z', NULL, '1', NULL, '80.00', '7.00', 'EUR', '2026-09-12T09:00:00Z'),
  ('SV-07-1', '10007', 'REP', 'Repair', NULL, 'completed', '2026-08-13T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-08-13T09:00:00Z'),
  ('SV-07-2', '10007', 'REP', 'Repair', NULL, 'completed', '2026-09-13T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-09-13T09:00:00Z'),
  ('SV-08-1', '10008', 'REP', 'Repair', NULL, 'completed', '2026-08-14T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-08-14T09:00:00Z'),
  ('SV-08-2', '10008', 'REP', 'Repair', NULL, 'completed', '2026-08-15T08:30:00Z', NULL, '1', NULL, '40.00', '19.00', 'EUR', '2026-08-15T09:00:00Z'),
  ('SV-09-1', '10009', 'REP', 'Repair', NULL, 'completed', '2026-09-16T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-09-16T09:00:00Z'),
  ('SV-10-1', '10010', 'REP', 'Repair', NULL, 'completed', '2026-08-17T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-08-17T09:00:00Z'),
  ('SV-11-1', '10011', 'REP', 'Repair', NULL, 'completed', '2026-08-18T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-08-18T09:00:00Z'),
  ('SV-12-1', '10012', 'REP', 'Repair', NULL, 'completed', '2026-08-19T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-08-19T09:00:00Z'),
  ('SV-13-1', '10013', 'REP', 'Repair', NULL, 'completed', '2026-09-20T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-09-20T09:00:00Z'),
  ('SV-14-1', '10014', 'REP', 'Repair', NULL, 'completed', '2026-09-21T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-09-21T09:00:00Z'),
  ('SV-15-1', '10015', 'REP', 'Repair', NULL, 'completed', '2026-08-22T08:30:00Z', NULL, '1', NULL, '80.00', '0.00', 'CHF', '2026-08-22T09:00:00Z'),
  ('SV-16-1', '10016', 'REP', 'Repair', NULL, 'completed', '2026-09-23T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-09-23T09:00:00Z'),
  ('SV-17-1', '10017', 'REP', 'Repair', NULL, 'completed', '2026-09-24T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-09-24T09:00:00Z'),
  ('SV-18-1', '10018', 'REP', 'Repair', NULL, 'completed', '2026-09-25T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-09-25T09:00:00Z'),
  ('SV-19-1', '10019', 'REP', 'Repair', NULL, 'completed', '2026-09-26T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-09-26T09:00:00Z'),
  ('SV-20-1', '10020', 'REP', 'Repair', NULL, 'completed', '2026-08-27T08:30:00Z', NULL, '1', NULL, '80.00', '19.00', 'EUR', '2026-08-27T09:00:00Z');

INSERT INTO service_tasks (service_id, position, task_name, price_net) VALUES
  ('SV-01-1', 1, 'Front battery change', '90.00'),
  ('SV-01-1', 2, 'Rear battery change', '60.00'),
  ('SV-01-3', 1, 'Front battery change', NULL);

INSERT INTO cancellation_fees (fee_id, service_id, customer_number, fee_type, amount_net, vat_percent, currency, charged_at, updated_at) VALUES
  ('CF-01-1', NULL, '10001', 'no_show', '25.00', '19.00', 'EUR', '2026-08-20T08:30:00Z', '2026-08-20T08:30:00Z');

-- Later: 2026-08 has been delivered.

UPDATE services SET unit_price_net = '90.00', updated_at = '2026-09-02T09:00:00Z' WHERE service_id = 'SV-08-1';
UPDATE services SET unit_price_net = '85.00', updated_at = '2026-09-02T09:00:00Z' WHERE service_id = 'SV-20-1';

-- Later: 10008 has been corrected, and 10020 left as it was.

UPDATE services SET unit_price_net = '95.00', updated_at = '2026-09-03T09:00:00Z' WHERE service_id = 'SV-07-1';

INSERT INTO services (service_id, customer_number, service_code, service_name, description, status, completed_at, cancelled_at, quantity, unit, unit_price_net, vat_percent, currency, updated_at) VALUES
  ('SV-06-L', '10006', 'REP', 'Repair entered late', NULL, 'completed', '2026-08-30T08:30:00Z', NULL, '1', NULL, '70.00', '7.00', 'EUR', '2026-09-04T09:00:00Z');
