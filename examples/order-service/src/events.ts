/** What happens to aggregates of the type `customer`. */
export interface OrderEvents {
  /** Whose order it is, the aggregate says; the order's own id is the event's id. */
  readonly "order-placed": { readonly cents: number };
}
