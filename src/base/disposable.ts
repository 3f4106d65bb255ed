/** Something that holds a resource until it is disposed. Disposing twice is allowed and does nothing the second time. */
export interface Disposable {
  dispose(): void;
}

/** Collects disposables and disposes them in reverse order. A disposable that is added after `dispose` is disposed at once. */
export class DisposableStore implements Disposable {
  readonly #items: Disposable[] = [];
  #disposed = false;

  add<T extends Disposable>(item: T): T {
    if (this.#disposed) item.dispose();
    else this.#items.push(item);
    return item;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const item of this.#items.splice(0).reverse()) item.dispose();
  }
}
