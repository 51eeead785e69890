export interface Events {
  "order-placed": { readonly customer: string; readonly total: number };
  "order-paid": { readonly paymentId: string };
  "payment-settled": { readonly paymentId: string };
  "order-cancelled": { readonly reason: string };
}
