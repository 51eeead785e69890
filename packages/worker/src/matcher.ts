import { type RecordedEvent, type Scope, segmentOf } from "@tidemark/core";

/** Whether an event is within a scope, as the databases see it. `bucket` is that of the event's aggregate. */
export type Matches = (event: RecordedEvent, bucket: number) => boolean;

export function matcherOf(scope: Scope): Matches {
  const inContext = oneOf(scope.contexts);
  const inAggregateType = oneOf(scope.aggregateTypes);
  const inEventType = oneOf(scope.eventTypes);
  const { index, of } = scope.segment ?? { index: 0, of: 1 };
  return ({ aggregate, type }, bucket) =>
    segmentOf(bucket, of) === index &&
    inEventType(type) &&
    inAggregateType(aggregate.type) &&
    inContext(aggregate.context);
}

/** An empty list filters nothing. */
function oneOf(values: readonly string[] = []): (value: string) => boolean {
  if (values.length === 0) return () => true;
  const set = new Set(values);
  return (value) => set.has(value);
}
