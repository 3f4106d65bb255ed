export interface Page<T> {
  readonly items: readonly T[];
  /** How many there are in all, before paging. */
  readonly total: number;
}
