// What a merchant's program does first, against the types that openapi-typescript makes from docs/openapi.json.
import createClient from "openapi-fetch";
import type { components, paths } from "./api";

const client = createClient<paths>({ baseUrl: "https://pagos.example", headers: { Authorization: "Bearer sk_test_…" } });

export async function mainJob(): Promise<number> {
  const created = await client.POST("/v1/payments", {
    params: { header: { "Idempotency-Key": "order-1001" } },
    body: { method: "spei", amount: 125050, currency: "MXN" },
  });
  if (!created.data) throw new Error(`${created.error.code}: ${created.error.detail} (${created.error.request_id})`);
  const clabe: string | null | undefined = created.data.spei?.clabe;

  const path = { payment_id: created.data.id };
  const asked = await client.POST("/v1/test/payments/{payment_id}/pay", { params: { path }, body: {} });
  const late = await client.POST("/v1/test/payments/{payment_id}/pay", { params: { path }, body: { late: true } });
  const alone = await client.POST("/v1/test/payments/{payment_id}/pay", { params: { path } });
  if (!asked.data || !late.data || !alone.data) throw new Error("not paid");
  const times: number = asked.data.times;

  const read = await client.GET("/v1/payments/{payment_id}", { params: { path } });
  const status: "pending" | "processing" | "completed" | "failed" | "expired" | "cancelled" | "reversed" | undefined =
    read.data?.status;

  const listed = await client.GET("/v1/payments", { params: { query: { limit: 5, status: "completed" } } });
  const payments: components["schemas"]["PaymentObject"][] = listed.data?.data ?? [];
  const everything = await client.GET("/v1/payments");

  await client.POST("/v1/clabes", { params: { header: { "Idempotency-Key": "clabe-17" } }, body: {} });
  await client.POST("/v1/api-keys/{api_key_id}/roll", { params: { path: { api_key_id: "key_1" } }, body: {} });
  await client.POST("/v1/reports", { body: { type: "payments", start_date: "2026-11-23", end_date: "2026-11-23" } });

  console.log(clabe, times, status, everything.data?.has_more);
  return payments.reduce((sum, payment) => sum + payment.amount_received, 0);
}

export async function mistakes(): Promise<void> {
  // @ts-expect-error: the amount is missing
  const withoutAmount: components["schemas"]["PaymentRequest"] = { method: "spei", currency: "MXN" };
  // @ts-expect-error: there is no such method
  const unknownMethod: components["schemas"]["PaymentRequest"] = { method: "card", amount: 1, currency: "MXN" };
  console.log(withoutAmount, unknownMethod);
}
