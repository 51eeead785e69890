/**
 * `compute`, whose results for the texts that came last are kept: a process may open stores without end, whose statements
 * all differ by a name.
 */
export function keepingLast<T>(count: number, compute: (text: string) => T): (text: string) => T {
  const kept = new Map<string, T>();
  return (text) => {
    const known = kept.get(text);
    if (known !== undefined) return known;
    const value = compute(text);
    for (const oldest of kept.keys()) {
      if (kept.size < count) break;
      kept.delete(oldest);
    }
    kept.set(text, value);
    return value;
  };
}
