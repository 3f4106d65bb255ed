/** How often something happened lately. */
export class Recent {
  readonly #elapsedMs: () => number;
  readonly #spanMs: number;
  #times: number[] = [];

  constructor(elapsedMs: () => number, spanMs: number) {
    this.#elapsedMs = elapsedMs;
    this.#spanMs = spanMs;
  }

  add(): void {
    this.#times.push(this.#elapsedMs());
    if (this.#times.length > 1000) this.#times = this.#within();
  }

  /** Within the span that ends now. */
  get count(): number {
    this.#times = this.#within();
    return this.#times.length;
  }

  #within(): number[] {
    const from = this.#elapsedMs() - this.#spanMs;
    return this.#times.filter((at) => at > from).slice(-1000);
  }
}
