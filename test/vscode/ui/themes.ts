import { artifactPath } from '../harness/artifacts.ts';
import { waitUntil } from '../harness/waitUntil.ts';
import type { Workbench } from '../harness/workbench.ts';
import type { ChangeSettings } from './mainJob.ts';
import type { Step } from './steps.ts';

const themes = { light: 'vs', dark: 'vs-dark', 'high-contrast': 'hc-black' } as const;
const names = { light: 'Default Light Modern', dark: 'Default Dark Modern', 'high-contrast': 'Default High Contrast' };

/** Tree, status bar and switcher in each kind of theme, after the main job was done. The pictures are for a person's eyes. */
export function inThemes(workbench: Workbench, changeSettings: ChangeSettings): Step[] {
  const { page, quickInput } = workbench;
  return (['light', 'dark', 'high-contrast'] as const).map((kind) => ({
    title: `V3 in a ${kind} theme the status bar, the tree and the switcher show project and session`,
    async run() {
      await changeSettings({ 'workbench.colorTheme': names[kind] });
      const applied = async (): Promise<true | undefined> =>
        (await page.locator(`.monaco-workbench.${themes[kind]}`).count()) > 0 ? true : undefined;
      await waitUntil('the theme', applied);
      await workbench.statusBar(/orchard · /);
      await workbench.runCommand('Context Windows: Switch Project or Session');
      await page.locator('.quick-input-list .monaco-list-row', { hasText: 'orchard' }).first().waitFor();
      // It fades in, and nobody could judge the colours of a picture from before that.
      await page.locator('.quick-input-widget').evaluate(async (widget) => {
        await Promise.allSettled(
          widget.getAnimations().map(({ finished }: { readonly finished: Promise<unknown> }) => finished),
        );
      });
      await workbench.screenshot(artifactPath(`ui-theme-${kind}.png`));
      await quickInput.cancel();
    },
  }));
}
