-- Chinook's customers. Its countries are names; the contract asks for ISO 3166-1 alpha-2, and an unknown name
-- stays as it is, so that the pipeline reports it.
SELECT
    lpad(c.customer_id::text, 5, '0') AS customer_number,
    c.company AS company_name,
    c.first_name,
    c.last_name,
    c.address AS street,
    c.postal_code AS zip_code,
    c.city,
    c.state,
    coalesce(iso.code, c.country) AS country,
    c.email,
    c.phone,
    NULL AS vat_id,
    NULL AS tax_type,
    'USD' AS currency,
    NULL AS payment_type,
    false AS is_test
FROM customer AS c
LEFT JOIN (
    VALUES
        ('Argentina', 'AR'), ('Australia', 'AU'), ('Austria', 'AT'), ('Belgium', 'BE'), ('Brazil', 'BR'),
        ('Canada', 'CA'), ('Chile', 'CL'), ('Czech Republic', 'CZ'), ('Denmark', 'DK'), ('Finland', 'FI'),
        ('France', 'FR'), ('Germany', 'DE'), ('Hungary', 'HU'), ('India', 'IN'), ('Ireland', 'IE'),
        ('Italy', 'IT'), ('Netherlands', 'NL'), ('Norway', 'NO'), ('Poland', 'PL'), ('Portugal', 'PT'),
        ('Spain', 'ES'), ('Sweden', 'SE'), ('United Kingdom', 'GB'), ('USA', 'US')
) AS iso (name, code) ON iso.name = c.country;
