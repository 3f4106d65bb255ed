import { CwmError } from '../../../protocol/errors.ts';
import { splitModel, withModel } from '../../../protocol/engineSpec.ts';
import { commandTitles } from '../../contributions.ts';
import { pickModel } from '../../pick/pickModel.ts';
import { modelItems } from '../../render/modelItems.ts';
import { engineOfNewSessions } from '../../settings/engineSpec.ts';
import { useEngine } from '../../settings/useEngine.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

/** Sets which model of the server new sessions use. */
export const chooseModel = command('cwm.chooseModel', {
  async ask(app, input): Promise<{ engine: string; model: string } | undefined> {
    const spec = splitModel(await engineOfNewSessions(app.connection));
    if (spec === null) {
      throw new CwmError(
        'InvalidParameter',
        'The embedded model server runs one model file, so there is nothing to choose.',
        {
          hint: `"${commandTitles['cwm.chooseServer']}" changes the model server or the file.`,
        },
      );
    }
    const { server } = spec;
    let { model } = input;
    if (model === undefined) {
      // Without the named model: a server that no longer serves it must still list the others.
      const listed = await app.connection.call('listModels', { engine: server });
      model = await pickModel(modelItems(listed.models, spec.model ?? listed.used), commandTitles['cwm.chooseModel']);
    }
    const engine = model === undefined ? null : withModel(server, model);
    return model === undefined || engine === null ? undefined : { engine, model };
  },
  async perform(app, { engine }) {
    await useEngine(app.connection, engine);
    return undefined;
  },
  show: (app, _done, { model }) => showDone(app, `New sessions use the model ${model}.`),
});
