import type { Locator, Page } from 'playwright-core';
import { HarnessError } from './harnessError.ts';
import { exactly } from './textMatch.ts';
import { waitUntil } from './waitUntil.ts';

/** VS Code's box at the top: command palette, input boxes and quick picks are one widget. */
export class QuickInput {
  readonly #page: Page;
  readonly #timeoutMs: number;
  readonly #widget: Locator;
  readonly #input: Locator;

  constructor(page: Page, timeoutMs: number) {
    this.#page = page;
    this.#timeoutMs = timeoutMs;
    this.#widget = page.locator('.quick-input-widget');
    this.#input = this.#widget.locator('.quick-input-box input');
  }

  /**
   * Runs a command of the palette by its whole title, `Category: Title`.
   * @throws {HarnessError} naming what the palette offers instead, when it is not there or its `when` clause hides it.
   */
  async runCommand(title: string): Promise<void> {
    const palette = this.#widget.locator('input[aria-label="Type the name of a command to run."]');
    await waitUntil(
      'the command palette',
      async () => {
        // Lost while something modal closes, and the palette closes when the focus moves: then it is opened again.
        await this.#page.keyboard.press('F1');
        const filled = palette.fill(`>${title}`, { timeout: 2_000 }).then(() => true);
        return filled.catch(() => undefined);
      },
      { timeoutMs: this.#timeoutMs },
    );
    await this.pick(title);
  }

  /** Chooses an entry of the open list by its whole label. Resolves when the list has closed or moved on. */
  async pick(label: string | RegExp): Promise<void> {
    const row = this.#row(label);
    try {
      await row.waitFor({ timeout: this.#timeoutMs });
    } catch (error) {
      const offered = (await this.labels()).map((text) => `  ${text}`);
      throw new HarnessError(`The list offers no ${String(label)}. It offers:`, offered, { cause: error });
    }
    await row.click();
    await row.waitFor({ state: 'hidden', timeout: this.#timeoutMs });
  }

  /** The labels that the open list shows now; those scrolled out of sight are missing. */
  async labels(): Promise<string[]> {
    return this.#widget.locator('.monaco-list-row .quick-input-list-row:first-child .label-name').allInnerTexts();
  }

  /** Types into the open input box without accepting it. With `title`, waits for the step of that title first. */
  async type(text: string, title?: string): Promise<void> {
    if (title !== undefined) {
      await this.#widget
        .locator('.quick-input-title', { hasText: exactly(title) })
        .waitFor({ timeout: this.#timeoutMs });
    }
    await this.#input.fill(text, { timeout: this.#timeoutMs });
  }

  /**
   * Types into the open input box and accepts it; resolves when the box has closed or moved on to the next step.
   * @throws {HarnessError} with the validation message when the extension refuses the text.
   */
  async fill(text: string, title?: string): Promise<void> {
    await this.type(text, title);
    await this.#input.press('Enter');
    let refusedSince: number | undefined; // a refusal of the text before stays on show for a moment
    const movedOn = async (): Promise<true | undefined> => {
      if (!(await this.#widget.isVisible())) return true;
      const refused = await this.#widget.locator('.monaco-inputbox.error').isVisible();
      refusedSince = refused ? (refusedSince ?? performance.now()) : undefined;
      if (refusedSince !== undefined && performance.now() - refusedSince > 10_000) {
        throw new HarnessError(`The input box refuses ${JSON.stringify(text)}: ${await this.message()}`);
      }
      const value = await this.#input.inputValue({ timeout: 1_000 }).catch(() => undefined);
      return value === text ? undefined : true;
    };
    await waitUntil('the input box to be accepted', movedOn, { timeoutMs: this.#timeoutMs, intervalMs: 50 });
  }

  /** The line under the input box: its prompt, or the validation message. */
  async message(): Promise<string> {
    return (await this.#widget.locator('.quick-input-message').innerText()).trim();
  }

  /** Waits until the line under the input box reads so. */
  async waitForMessage(text: string | RegExp): Promise<void> {
    await this.#widget.locator('.quick-input-message', { hasText: text }).waitFor({ timeout: this.#timeoutMs });
  }

  /** Closes whatever is open without choosing. */
  async cancel(): Promise<void> {
    await this.#page.keyboard.press('Escape');
    await this.#widget.waitFor({ state: 'hidden', timeout: this.#timeoutMs });
  }

  #row(label: string | RegExp): Locator {
    const name = this.#page.locator('.label-name', { hasText: exactly(label) });
    return this.#widget.locator('.monaco-list-row', { has: name }).first();
  }
}
