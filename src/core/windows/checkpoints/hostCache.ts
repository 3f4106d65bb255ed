import type { SessionId } from '../../../protocol/ids.ts';

/** What a prompt begins with. Where two of them begin alike, llama-server may take one for the other. */
export interface Beginning {
  /** The beginning of the list of tools, as text; empty for none. */
  readonly tools: string;
  /** Of the whole list, in characters. */
  readonly toolsLength: number;
  readonly system: string;
  /** The first words of the user. */
  readonly first: string;
}

/** A prompt with its answer, in a server that has room for one. */
export interface Occupant {
  /** Null: of no session. */
  readonly session: SessionId | null;
  /** Null: not known. */
  readonly beginning: Beginning | null;
  /** In characters, as the request was written. */
  readonly length: number;
  readonly tokens: number;
}

/** What a server does by itself when a prompt comes. */
export interface Swap {
  /** What is in the slot can come back later. */
  readonly keepsHolder: boolean;
  /** What the session had in the server's memory comes back. */
  readonly bringsBack: boolean;
  /** Sessions that the server may not be able to bring back afterwards. */
  readonly endangered: readonly SessionId[];
}

interface Entry {
  readonly occupant: Occupant;
  /** Another prompt may have been built on it. */
  isDoubtful: boolean;
}

/**
 * llama-server has the slot's prompt in its cache where the next one keeps less than half of it, and builds a prompt on another one where that
 * keeps a quarter. What is known here are characters, so that the limits are stricter.
 */
const keptBelow = 0.35;
const builtOnAbove = 0.15;
/** Where two in the cache begin alike up to here, the server may take the wrong one. */
const rivalAbove = 0.8;
/** `--cache-ram` of a server that was started without it, in bytes, and what of it is counted on. */
const limitBytes = 8192 * 1024 * 1024;
const countedOn = 0.7;
/** Until a slot file has shown it: no usual model takes more for a token. */
const mostBytesPerToken = 320 * 1024;
const mostEntries = 100;
const ofTrial: Occupant = {
  session: null,
  beginning: { tools: '', toolsLength: 0, system: '', first: '\0' },
  length: 100,
  tokens: 20,
};
const nothing: Swap = { keepsHolder: false, bringsBack: false, endangered: [] };

/**
 * What one llama-server has in its own cache of prompts in memory (`--cache-ram`), as far as this process knows: which conversations come back by
 * themselves. Nothing is believed before a trial has shown that there is such a cache, nor after it fell short, until another trial.
 */
export class HostCache {
  #slot: Occupant | null = null;
  /** The one that was displaced last comes last. */
  #entries: Entry[] = [];
  #isProven = false;
  #isAbsent = false;
  #failures = 0;
  /** Switches until the next trial. */
  #waits = 0;
  #limitTokens = Infinity;
  #bytesPerToken = mostBytesPerToken;

  /** Whether a trial should show whether there is such a cache. Call it once for each switch. */
  needsTrial(): boolean {
    if (this.#isProven || this.#isAbsent) return false;
    return this.#waits-- <= 0;
  }

  /** A trial has pushed out what the slot had, and showed whether that comes back. Null: it showed nothing. */
  tried(isThere: boolean | null): void {
    this.#isProven = isThere === true;
    this.#isAbsent = isThere === false;
    if (this.#isProven) {
      // What made it fall short may have been somebody else's prompts.
      this.#limitTokens *= 2;
      this.#displace();
    }
    this.#slot = ofTrial;
    if (isThere === null) this.#failed();
  }

  /** It was started again. */
  emptied(): void {
    this.#slot = null;
    this.#entries = [];
    this.#isProven = this.#isAbsent = false;
    this.#failures = this.#waits = 0;
    this.#limitTokens = Infinity;
  }

  /** The slot was emptied, filled from a file, or taken by something of which nothing is known. */
  slotChanged(isKnown: boolean): void {
    this.#slot = null;
    if (!isKnown) for (const entry of this.#entries) entry.isDoubtful = true;
  }

  /** A slot file showed what a token takes. */
  sized(bytes: number, tokens: number): void {
    if (bytes > 0 && tokens > 0) this.#bytesPerToken = bytes / tokens;
  }

  /** What happens when a prompt comes. */
  swapTo(next: Pick<Occupant, 'session' | 'beginning'>): Swap {
    if (!this.#isProven) return nothing;
    const keepsHolder = this.#keepsHolder(next.beginning);
    const bringsBack = this.#bringsBack(next);
    const endangered = this.#entries.filter((entry) => {
      const { session } = entry.occupant;
      if (session === null || session === next.session || entry.isDoubtful) return false;
      return this.#isLostTo(entry, next, bringsBack) || this.#tokensSince(entry) > this.#mostTokens / 2;
    });
    return {
      keepsHolder,
      bringsBack,
      endangered: endangered.flatMap(({ occupant: { session } }) => (session === null ? [] : [session])),
    };
  }

  /** Whether a session's last prompt comes back by itself. */
  has(session: SessionId | null): boolean {
    if (!this.#isProven || session === null) return false;
    const entry = this.#entryOf(session);
    if (!entry || entry.isDoubtful || this.#tokensSince(entry) > this.#mostTokens) return false;
    const { beginning } = entry.occupant;
    return this.#entries.every((other) => other === entry || share(other.occupant, beginning) < rivalAbove);
  }

  #keepsHolder(next: Beginning | null): boolean {
    return this.#slot !== null && share(this.#slot, next) < keptBelow;
  }

  /** Where the slot has half of it already, the server does not look into its cache. */
  #bringsBack({ session, beginning }: Pick<Occupant, 'session' | 'beginning'>): boolean {
    return this.has(session) && this.#keepsHolder(beginning);
  }

  /** Whether it comes back, and nothing is lost when it does. */
  mayBring(session: SessionId): boolean {
    const entry = this.#entryOf(session);
    return entry !== undefined && this.#bringsBack(entry.occupant);
  }

  /** The server brings a session back, and what was in its slot is displaced. */
  brings(session: SessionId): void {
    const entry = this.#entryOf(session);
    if (entry) this.entered(entry.occupant);
  }

  /** A prompt is sent. */
  entered(next: Occupant): void {
    const bringsBack = this.#bringsBack(next);
    const isNext = this.#slot !== null && this.#slot.session === next.session;
    if (isNext && next.session !== null) {
      this.#slot = next;
      return;
    }
    for (const entry of this.#entries) if (this.#isLostTo(entry, next, bringsBack)) entry.isDoubtful = true;
    this.#entries = this.#entries.filter(({ occupant: { session } }) => session === null || session !== next.session);
    if (this.#keepsHolder(next.beginning)) this.#displace();
    this.#slot = next;
  }

  /** The answer to the prompt in the slot came. */
  answered(session: SessionId | null, size: Pick<Occupant, 'length' | 'tokens'>): void {
    if (this.#slot?.session === session) this.#slot = { ...this.#slot, ...size };
  }

  /**
   * A session that should have come back was asked again.
   *
   * @param hadTokens what it had in the server's memory.
   * @param cachedTokens what the server reused of it.
   */
  measured(hadTokens: number, cachedTokens: number): void {
    if (cachedTokens >= hadTokens / 2) {
      this.#failures = 0;
      return;
    }
    const passed = this.#entries.reduce((sum, { occupant }) => sum + occupant.tokens, hadTokens);
    this.#limitTokens = Math.min(this.#mostTokens, passed / 2);
    this.#failed();
  }

  #failed(): void {
    this.#isProven = false;
    this.#entries = [];
    this.#waits = 2 ** Math.min(this.#failures++, 10);
  }

  #displace(): void {
    const slot = this.#slot;
    if (!slot) return;
    this.#entries = this.#entries.filter(({ occupant }) => slot.session === null || occupant.session !== slot.session);
    this.#entries.push({ occupant: slot, isDoubtful: false });
    this.#entries.splice(0, this.#entries.length - mostEntries);
  }

  #isLostTo({ occupant }: Entry, next: Pick<Occupant, 'session' | 'beginning'>, bringsBack: boolean): boolean {
    if (occupant.session !== null && occupant.session === next.session) return false;
    return share(occupant, next.beginning) >= (bringsBack ? rivalAbove : builtOnAbove);
  }

  get #mostTokens(): number {
    return Math.min(this.#limitTokens, (countedOn * limitBytes) / this.#bytesPerToken);
  }

  #tokensSince(entry: Entry): number {
    const at = this.#entries.indexOf(entry);
    return this.#entries.slice(at).reduce((sum, { occupant }) => sum + occupant.tokens, this.#slot?.tokens ?? 0);
  }

  #entryOf(session: SessionId): Entry | undefined {
    return this.#entries.find(({ occupant }) => occupant.session === session);
  }
}

/** How much of a prompt another one may have in common with it: 0 to 1, and rather too much than too little. */
function share({ beginning, length }: Occupant, other: Beginning | null): number {
  if (!beginning || !other) return 1;
  return Math.min(1, commonOf(beginning, other) / Math.max(1, length));
}

function commonOf(one: Beginning, other: Beginning): number {
  const isSameSystem = one.system === other.system;
  if (isSameSystem && one.first === other.first) return Infinity;
  const head = commonLength(one.tools, other.tools);
  const isSameHead = head === one.tools.length || head === other.tools.length;
  const tools = isSameHead ? Math.min(one.toolsLength, other.toolsLength) : head;
  if (!isSameSystem) return tools + commonLength(one.system, other.system);
  return tools + one.system.length + commonLength(one.first, other.first);
}

function commonLength(one: string, other: string): number {
  const most = Math.min(one.length, other.length);
  let at = 0;
  while (at < most && one[at] === other[at]) at++;
  return at;
}
