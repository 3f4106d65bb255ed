import { expect, onTestFinished, test } from 'vitest';
import { coreOver } from './coreOver.ts';
import { makeRig, never } from './rig.ts';

test('llama-server continues from the tokens that a thaw proved, whatever its template puts before the conversation', async () => {
  const rig = await makeRig({ fake: { faults: { templateLine: 'Today is Monday.' } } });
  const { cwm, ...core } = await coreOver(rig.engine);
  onTestFinished(() => core.dispose());
  await core.keep();
  await rig.fake.restart({ templateLine: 'Today is Tuesday, and the tools are listed in another order.' });
  const receipt = await core.thaw();
  expect(receipt.verdict).toBe('proven');
  expect(receipt.nextMessage).toMatchObject({ reusedTokens: receipt.tokens, leavesAtToken: null });
  const sent = await cwm.send({ session: receipt.session, text: 'Continue.', maxTokens: 12 }, never);
  expect(sent).toMatchObject({ cachedTokens: receipt.tokens, prefixBreak: null, notes: [expect.any(String)] });
  expect(sent.promptTokens).toBe(receipt.nextMessage?.promptTokens);

  const rendered = await cwm.send(
    { session: receipt.session, text: 'And then?', maxTokens: 12, continueFrom: 'template' },
    never,
  );
  expect(rendered.prefixBreak?.atToken).toBeLessThan(20);
});
