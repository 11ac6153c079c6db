-- One row per customer. The pipeline keeps those who have a row in the period.
-- Another OMS is mapped by a query of this name that yields these columns; see also services.sql.
SELECT
    customer_number,  -- text: leading zeros are kept
    company_name,
    first_name,
    last_name,        -- a company or a last name is required
    street,
    zip_code,
    city,
    state,
    country,          -- ISO 3166-1 alpha-2: DE, AT, US
    email,
    phone,
    vat_id,
    tax_type,         -- NULL, 'intra-community-trade', 'export', or a vat_option of EASY Bill's API
    currency,         -- ISO 4217: EUR
    payment_type,
    is_test           -- test customers are never billed
FROM customers
