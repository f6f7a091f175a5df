"""SQL that inserts many payments."""

from __future__ import annotations

from datetime import UTC, datetime

OLDEST = datetime(2025, 1, 1, tzinfo=UTC)
HOT, OTHERS = 20_000, 10_000
SEED = f"""
    INSERT INTO payments_payment (public_id, merchant_id, livemode, provider_account_id, method, status, amount,
        currency, amount_received, amount_refunded, fee_percent, fee_fixed, fee, fee_tax, description, external_id,
        customer_name, customer_email, customer_phone, metadata, failure_code, failure_message, clabe,
        reference_number, tracking_key, payer_name, payer_account, payer_institution, voucher_reference,
        voucher_barcode_url, voucher_store_name, expires_at, created_at)
    SELECT 'pay_' || lpad(n::text, 26, '0'), CASE WHEN n <= {HOT} THEN %(hot)s ELSE %(other)s END, false, %(account)s,
        CASE WHEN n = 7 THEN 'oxxo' ELSE 'spei' END, 'pending', 10000 + n, 'MXN', 0, 0, 1, 0, 0, 0, '',
        'ord-' || left(md5(n::text), 10), 'Cliente ' || left(md5('c' || n), 8), left(md5('e' || n), 9) || '@x.mx', '',
        '{{}}', '', '', '6461801570' || lpad(n::text, 8, '0'), lpad(n::text, 7, '0'), '', '', '', '', '', '', '',
        %(oldest)s, %(oldest)s + n * interval '1 minute'
    FROM generate_series(1, {HOT + OTHERS}) n;
"""
