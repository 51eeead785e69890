import type { Store } from "@tidemark/core";
import type { WorkerStatus } from "./status.ts";
import type { Api } from "./trace-context.ts";

/** Metrics that are read when somebody collects them. Returns what ends it. */
export function registerGauges(
  api: Api,
  store: Pick<Store<never>, "frontierHolders">,
  status: () => WorkerStatus,
): () => void {
  const meter = api.metrics.getMeter("@tidemark/worker");
  const lagEvents = meter.createObservableGauge("tidemark.consumer.lag", {
    description: "How far the head is past the checkpoint of a segment that this worker has, in positions",
  });
  const lagSeconds = meter.createObservableGauge("tidemark.consumer.lag.duration", {
    description: "How long ago the next event of a segment that this worker has was recorded",
    unit: "s",
  });
  const headAge = meter.createObservableGauge("tidemark.head.age", {
    description: "For how long the head of a log has stood still",
    unit: "s",
  });
  const holderAge = meter.createObservableGauge("tidemark.frontier.holder.age", {
    description: "How old the transaction is that holds readers back most; nothing when none does",
    unit: "s",
  });
  const instruments = [lagEvents, lagSeconds, headAge, holderAge];
  const observe: Parameters<typeof meter.addBatchObservableCallback>[0] = async (result) => {
    const { consumers, logs, name } = status();
    for (const consumer of consumers) {
      for (const { segment, held, lag, lagSeconds: seconds } of consumer.segments) {
        if (!held) continue;
        const about = {
          "tidemark.consumer": consumer.name,
          "tidemark.consumer.version": consumer.version,
          "tidemark.segment": segment,
          "tidemark.worker": name,
        };
        if (lag !== undefined) result.observe(lagEvents, Number(lag), about);
        if (seconds !== undefined) result.observe(lagSeconds, seconds, about);
      }
    }
    for (const { logId, headAgeMs } of logs) result.observe(headAge, headAgeMs / 1_000, { "tidemark.log": logId });
    const [holder] = await store.frontierHolders().catch(() => []);
    if (holder?.since === undefined) return;
    result.observe(holderAge, (Date.now() - holder.since.getTime()) / 1_000, {
      "tidemark.session": holder.session,
      ...(holder.application !== undefined && { "tidemark.application": holder.application }),
    });
  };
  meter.addBatchObservableCallback(observe, instruments);
  return () => meter.removeBatchObservableCallback(observe, instruments);
}
