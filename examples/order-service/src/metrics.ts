import type { WorkerStatus } from "@tidemark/worker";

/** The worker's status as Prometheus reads it. Nobody asks the database for it. */
export function metricsOf({ ready, healthy, consumers }: WorkerStatus): string {
  const lines = [
    "# TYPE tidemark_worker_ready gauge",
    `tidemark_worker_ready ${Number(ready)}`,
    "# TYPE tidemark_worker_healthy gauge",
    `tidemark_worker_healthy ${Number(healthy)}`,
    "# TYPE tidemark_consumer_segments gauge",
    ...consumers.map(
      ({ name, segments }) => `tidemark_consumer_segments{consumer="${name}"} ${segments.filter((s) => s.held).length}`,
    ),
    "# TYPE tidemark_consumer_lag gauge",
    ...consumers.flatMap(({ name, segments }) =>
      segments.flatMap(({ held, segment, lag }) =>
        held && lag !== undefined ? [`tidemark_consumer_lag{consumer="${name}",segment="${segment}"} ${lag}`] : [],
      ),
    ),
  ];
  return `${lines.join("\n")}\n`;
}
