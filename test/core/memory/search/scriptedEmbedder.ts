import type { Embedded, EmbeddedAs, Embedder, VectorModel } from '../../../../src/core/ports/search.ts';
import { knownText } from '../../../../src/core/memory/search/meaningTrial.ts';
import { CwmError } from '../../../../src/protocol/errors.ts';

/** Subjects, with words that belong to them: what shares no word may share a subject. */
const subjects = [
  /live|apartment|Lisbon/,
  /database|PostgreSQL/,
  /job|nurse/,
  /tokens|expires/,
  /release|Tuesday|ship/,
  /pets|dog|cats/,
  /build|compiler/,
  /play|violin/,
  /exam|driving/,
  /food|Peanuts/,
];

/** A server of embeddings whose model knows some subjects. What has none of them is similar to what begins with the same letter. */
export class ScriptedEmbedder implements Embedder {
  readonly server = 'http://embedder';
  /** Texts of each request. */
  readonly requests: string[][] = [];
  /** Whether its vectors say what texts are about, or only how long they are. */
  isGood = true;
  /** Each number is another model, under the same name. */
  modelNumber = 0;
  failure: CwmError | null = null;
  /** Runs before each answer. */
  before: () => Promise<void> = async () => undefined;
  refuses: (text: string) => boolean = () => false;

  /** All texts that were asked for, but for the one that goes with each request. */
  get asked(): string[] {
    const known = new Set(Object.values(knownText));
    return this.requests.flat().filter((text) => !known.has(text));
  }

  get model(): VectorModel {
    return { name: 'meant', fingerprint: this.#vectorOf(knownText.page) };
  }

  async embed(texts: readonly string[], _as: EmbeddedAs, signal: AbortSignal): Promise<Embedded> {
    this.requests.push([...texts]);
    await this.before();
    if (signal.aborted) throw new CwmError('Cancelled', 'A turn came first.');
    if (this.failure) throw this.failure;
    return { model: 'meant', vectors: texts.map((text) => (this.refuses(text) ? null : this.#vectorOf(text))) };
  }

  #vectorOf(text: string): number[] {
    if (!this.isGood) return [1, text.length];
    const of = subjects.map((words) => (words.test(text) ? 1 : 0));
    const hasSubject = of.includes(1);
    const letters = Array.from({ length: 32 }, (_, at) => (!hasSubject && text.charCodeAt(0) % 32 === at ? 1 : 0));
    const vector = [hasSubject ? 0.1 : 0, ...of, ...letters];
    const turned = this.modelNumber % vector.length;
    return [...vector.slice(turned), ...vector.slice(0, turned)];
  }
}
