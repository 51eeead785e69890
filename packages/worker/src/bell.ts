/** Wakes everyone in this process who waits for news. Take {@link version} before you look, so that no ring is missed. */
export class Bell {
  #version = 0;
  readonly #sleepers = new Set<() => void>();

  get version(): number {
    return this.#version;
  }

  ring(): void {
    this.#version += 1;
    for (const wake of [...this.#sleepers]) wake();
  }

  /** Resolves when it has rung since `version`, or after `ms`. */
  rest(version: number, ms: number): Promise<void> {
    if (this.#version !== version || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#sleepers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.min(ms, 0x7fff_ffff));
      this.#sleepers.add(wake);
    });
  }
}
