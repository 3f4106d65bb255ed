import type { Locator, Page } from 'playwright-core';
import { HarnessError } from './harnessError.ts';
import { exactly } from './textMatch.ts';
import { waitUntil } from './waitUntil.ts';

/** A tree in the side bar, named by its view's title. Labels are whole labels, without the grey description after them. */
export class TreeView {
  readonly #page: Page;
  readonly #timeoutMs: number;
  readonly #rows: Locator;

  constructor(page: Page, timeoutMs: number, viewTitle: string) {
    this.#page = page;
    this.#timeoutMs = timeoutMs;
    this.#rows = page.locator(`[role="tree"][aria-label=${JSON.stringify(viewTitle)}] [role="treeitem"]`);
  }

  /** The row of this label, for what this class does not offer. */
  row(label: string | RegExp): Locator {
    return this.#rows.filter({ has: this.#page.locator('.label-name', { hasText: exactly(label) }) }).first();
  }

  /** Label and description of every row in sight, such as `notes 8,192 tokens`. */
  async texts(): Promise<string[]> {
    const parts = this.#rows.locator('.monaco-icon-label-container');
    const split = await parts.evaluateAll((rows) =>
      rows.map((row) =>
        ['.label-name', '.label-description'].map((part) => row.querySelector(part)?.textContent ?? ''),
      ),
    );
    return split.map((texts) => texts.join(' ').trim());
  }

  /**
   * Waits until the rows in sight are just these, as `texts` gives them; a tree is drawn bit by bit.
   * @throws {HarnessError} naming the rows that are there.
   */
  async waitForTexts(expected: readonly string[], timeoutMs = this.#timeoutMs): Promise<void> {
    let shown: string[] = [];
    const probe = async (): Promise<true | undefined> => {
      shown = await this.texts();
      return shown.join('\n') === expected.join('\n') ? true : undefined;
    };
    const evidence = (): string[] => [
      'Wanted:',
      ...expected.map((text) => `  ${text}`),
      'Shown:',
      ...shown.map((text) => `  ${text}`),
    ];
    await waitUntil('the tree to show other rows', probe, { timeoutMs, evidence });
  }

  /**
   * Waits until a row of this label is shown.
   * @throws {HarnessError} naming the rows that are.
   */
  async waitFor(label: string | RegExp, timeoutMs = this.#timeoutMs): Promise<void> {
    try {
      await this.row(label).waitFor({ timeout: timeoutMs });
    } catch (error) {
      const shown = (await this.texts()).map((text) => `  ${text}`);
      throw new HarnessError(`The tree shows no ${String(label)}. It shows:`, shown, { cause: error });
    }
  }

  /**
   * Clicks a row, which selects it, and again when another one was hit: VS Code uses the elements of its rows again for other rows, so
   * that a row which moves at that moment is no more what was aimed at.
   */
  async click(label: string | RegExp): Promise<void> {
    const selected = this.row(label).and(this.#page.locator('[aria-selected="true"]'));
    const clicked = async (): Promise<true | undefined> => {
      await this.#atRest(label);
      await this.row(label).click({ timeout: this.#timeoutMs });
      return selected.waitFor({ timeout: 2_000 }).then(
        () => true,
        () => undefined,
      );
    };
    await waitUntil(`the row ${String(label)} to be hit`, clicked, { timeoutMs: this.#timeoutMs });
  }

  /** Waits for a row, and until the tree stands still: VS Code draws what changed up to 200 ms later, and a row may then be elsewhere. */
  async #atRest(label: string | RegExp): Promise<void> {
    // The tooltip of the row under the mouse lies over the rows below it.
    await this.#page.mouse.move(0, 0);
    await this.waitFor(label);
    let before: string | undefined;
    const isSame = async (): Promise<true | undefined> => {
      const now = (await this.texts()).join('\n');
      const same = now === before;
      before = now;
      return same ? true : undefined;
    };
    await waitUntil('the tree to stand still', isSame, { timeoutMs: this.#timeoutMs, intervalMs: 300 });
  }

  /** Unfolds a row that has children; does nothing when it is unfolded. A project and its session may have one label: `level` 1 is the outermost. */
  async expand(label: string | RegExp, level?: number): Promise<void> {
    await this.#atRest(label);
    const all = level === undefined ? this.#rows : this.#rows.and(this.#page.locator(`[aria-level="${level}"]`));
    const rows = all.filter({ has: this.#page.locator('.label-name', { hasText: exactly(label) }) });
    const row = rows.first();
    if ((await row.getAttribute('aria-expanded', { timeout: this.#timeoutMs })) === 'true') return;
    await row.locator('.monaco-tl-twistie').click({ timeout: this.#timeoutMs });
    await rows.and(this.#page.locator('[aria-expanded="true"]')).first().waitFor({ timeout: this.#timeoutMs });
  }

  /**
   * Chooses an entry of the row's context menu.
   * @throws {HarnessError} naming the entries that are there.
   */
  async chooseMenuItem(label: string | RegExp, item: string): Promise<void> {
    const open = async (): Promise<void> => {
      await this.#atRest(label);
      await this.row(label).click({ button: 'right', timeout: this.#timeoutMs });
    };
    await open();
    const entries = this.#page.locator('.monaco-menu [role="menuitem"] .action-label');
    await entries.first().waitFor({ timeout: this.#timeoutMs });
    const entry = entries.filter({ hasText: exactly(item) }).first();
    if (!(await entry.isVisible())) {
      const offered = (await entries.allInnerTexts()).map((text) => `  ${text}`);
      await this.#page.keyboard.press('Escape');
      throw new HarnessError(`The context menu offers no ${item}. It offers:`, offered);
    }
    // VS Code ignores clicks for a moment after a menu opens, lest the opening click choose an entry. A menu that closed without a click,
    // because a view moved or took the focus, is opened again.
    const chosen = async (): Promise<true | undefined> => {
      if (!(await entry.isVisible())) await open();
      const isClicked = await entry.click({ timeout: 10_000 }).then(
        () => true,
        () => false,
      );
      const closed = entry.waitFor({ state: 'hidden', timeout: 500 }).then(() => true as const);
      return isClicked ? closed.catch(() => undefined) : undefined;
    };
    await waitUntil(`the menu entry ${item} to be taken`, chosen, { timeoutMs: this.#timeoutMs });
  }

  /** Clicks one of the buttons that a row shows under the mouse, by the title of its command. */
  async clickAction(label: string | RegExp, action: string): Promise<void> {
    await this.#atRest(label);
    const row = this.row(label);
    await row.hover({ timeout: this.#timeoutMs });
    await row
      .locator(`.actions .action-label[aria-label^=${JSON.stringify(action)}]`)
      .click({ timeout: this.#timeoutMs });
  }
}
