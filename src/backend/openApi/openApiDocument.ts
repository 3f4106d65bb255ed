import { routes, type Route, type RouteName } from '../../protocol/api.ts';
import { errors } from '../../protocol/errors.ts';
import { eventStreamType, operationHeader, signalsHeader } from '../../protocol/operationEvents.ts';
import { eventsPath } from '../../protocol/signals.ts';
import { shapes } from '../../protocol/routes/shapes.ts';
import { productVersion } from '../../protocol/version.ts';
import { inputField, inputTogether, type JsonSchema } from './inputFields.ts';
import { JsonSchemas } from './jsonSchemas.ts';

const tags: Readonly<Record<string, string>> = {
  sessions: 'Sessions: conversations, their messages, branches and turns',
  windows: 'Windows: sessions that were frozen',
  prompts: 'Named system prompts',
  tracker: 'States of sessions, and recovery points',
  space: 'Disk space, the trash, and the check of the store',
  projects: 'Folders and their current sessions',
  backend: 'The backend itself and its model servers',
};

const placesOfTags: readonly (readonly [RegExp, string])[] = [
  [/^\/api\/contexts\/:session\/tracker|^\/api\/tracker/, 'tracker'],
  [/^\/api\/contexts\/:session\/freeze|^\/api\/windows/, 'windows'],
  [/^\/api\/(?:contexts|search|import|memories)/, 'sessions'],
  [/^\/api\/prompts/, 'prompts'],
  [/^\/api\/(?:usage|prune|trash|verify)/, 'space'],
  [/^\/api\/projects/, 'projects'],
];

const tagOf = (path: string): string => placesOfTags.find(([pattern]) => pattern.test(path))?.[1] ?? 'backend';

/**
 * The control API as OpenAPI 3.1, made from the table of routes and their schemas, for programs of other people: client generators,
 * testers, editors. `docs/openapi.json` is a copy of it.
 */
export function openApiDocument(): JsonSchema & { readonly openapi: string } {
  const schemas = new JsonSchemas();
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) {
    const operations = (paths[pathOf(route)] ??= {});
    operations[route.method.toLowerCase()] = operationOf(name, route, schemas);
  }
  paths[eventsPath] = { get: events };
  return {
    openapi: '3.1.0',
    info: {
      title: 'Context Window Manager',
      version: productVersion,
      summary: 'Freeze, thaw, clone and branch the context windows of your own model server.',
      description:
        'The control API on TCP (`cwm serve --http [HOST:]PORT`). Match on the code of an error, never on its message; docs/errors.md has all codes.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [
      {
        url: 'http://127.0.0.1:{port}',
        description: 'The backend of this machine',
        variables: { port: { default: '8765', description: 'The port of `cwm serve --http`' } },
      },
    ],
    security: [{ token: [] }],
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'The content of the file that `cwm serve` names' },
      },
      responses: { Error: errorResponse('An error of docs/errors.md'), ...errorResponses },
      schemas: { ...schemas.components, Error: errorSchema },
    },
  };
}

const pathOf = ({ path }: Pick<Route, 'path'>): string => path.replaceAll(/:(\w+)/g, '{$1}');

function operationOf(name: RouteName, route: Route, schemas: JsonSchemas): JsonSchema {
  const { fields, required } = schemas.input(name);
  const inPath = Array.from(route.path.matchAll(/:(\w+)/g), ([, field = '']) => field);
  const others = Object.keys(fields).filter((field) => !inPath.includes(field));
  const hasBody = route.method === 'POST' || route.method === 'PUT';
  const parameter = (field: string, place: 'path' | 'query'): JsonSchema => ({
    name: field,
    in: place,
    ...((place === 'path' || required.includes(field)) && { required: true }),
    schema: fields[field],
  });
  const parameters = [
    ...inPath.map((field) => parameter(field, 'path')),
    ...(hasBody ? [] : others.map((field) => parameter(field, 'query'))),
  ];
  return {
    operationId: name,
    summary: shapes[name].summary,
    ...(route.clients && { description: notOverTcp[route.clients] }),
    tags: [tagOf(route.path)],
    ...(parameters.length > 0 && { parameters }),
    ...(hasBody && others.length > 0 && { requestBody: bodyOf(name, fields, others, required) }),
    responses: { ...successOf(name, route, schemas), ...failuresOf(route, hasBody) },
    ...(route.clients && { 'x-clients': route.clients }),
  };
}

const notOverTcp = {
  own: "For the own clients on the socket, since it ends others' work, cannot be undone, or is for a person to decide: refused on TCP.",
  socket: 'For clients on the socket: refused on TCP.',
} as const;

function bodyOf(
  route: RouteName,
  fields: Readonly<Record<string, JsonSchema>>,
  names: readonly string[],
  required: readonly string[],
): JsonSchema {
  const demanded = names.filter((name) => required.includes(name));
  return {
    ...((demanded.length > 0 || inputTogether[route]?.['anyOf'] !== undefined) && { required: true }),
    content: {
      'application/json': {
        schema: {
          type: 'object',
          properties: Object.fromEntries(names.map((name) => [name, fields[name]])),
          ...(demanded.length > 0 && { required: demanded }),
          ...inputTogether[route],
        },
      },
    },
  };
}

/** An answer with nothing in it is 204. */
function successOf(name: RouteName, route: Route, schemas: JsonSchemas): Record<string, JsonSchema> {
  const schema = schemas.output(name);
  const nothing = { 204: { description: 'It is done; there is nothing more to say', headers: headersOf(route) } };
  const mayBeEmpty = schema['type'] === 'object' && schema['required'] === undefined;
  if (mayBeEmpty && Object.keys(schema['properties'] ?? {}).length === 0 && name !== 'openApi') return nothing;
  const answer = {
    description: route.creates ? 'It was created' : 'The answer',
    headers: headersOf(route),
    content: route.answersText ? { 'text/plain': { schema: { type: 'string' } } } : { 'application/json': { schema } },
  };
  const stream = { [eventStreamType]: { schema: { type: 'string' } } };
  return {
    [route.creates ? 201 : 200]: answer,
    ...(route.streams && {
      200: {
        ...answer,
        description: `The answer; as events where the request accepts ${eventStreamType}`,
        content: { ...answer.content, ...stream },
      },
    }),
    ...(mayBeEmpty && nothing),
  };
}

const headersOf = ({ kind }: Route): JsonSchema => ({
  [operationHeader]: { description: 'The name that the client gave the operation', schema: { type: 'string' } },
  ...(kind === 'change' && {
    [signalsHeader]: { description: 'Number of the last signal that the change caused', schema: { type: 'integer' } },
  }),
});

const statuses: Readonly<Record<number, string>> = {
  400: 'The request is wrong: the message says what',
  401: 'The token is missing or wrong',
  403: 'The client may not do this',
  404: 'There is no such thing',
  408: 'The request came too slowly',
  409: 'It does not fit what is there now',
  413: 'The request is too large',
  429: 'Too much at once, or within a minute; `retry-after` says when to ask again',
  500: 'The backend or its disk failed',
  502: 'The model server failed',
  503: 'The model server or the backend cannot be reached now',
  504: 'The model server did not answer in time',
  507: 'There is no room',
};

const errorResponse = (description: string): JsonSchema => ({
  description,
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
});

const errorResponses = Object.fromEntries(
  Object.entries(statuses).map(([status, description]) => [`Error${status}`, errorResponse(description)]),
);

/** Those of every request, of one with a body, and of a change; then what else there is. */
function failuresOf({ kind }: Route, hasBody: boolean): Record<string, JsonSchema> {
  const named = [
    400,
    401,
    403,
    404,
    ...(hasBody ? [408, 413] : []),
    ...(kind === 'change' ? [409, 429, 507] : []),
    500,
  ];
  const engine = [502, 503, 504];
  const all = [...named, ...engine].map((status) => [
    String(status),
    { $ref: `#/components/responses/Error${status}` },
  ]);
  return { ...Object.fromEntries(all), default: { $ref: '#/components/responses/Error' } } as Record<
    string,
    JsonSchema
  >;
}

const errorSchema: JsonSchema = {
  type: 'object',
  properties: {
    error: {
      type: 'object',
      properties: {
        code: { type: 'string', enum: Object.values(errors).map(({ code }) => code) },
        message: { type: 'string' },
        retryable: { type: 'boolean', description: 'Whether the same request may succeed later with nothing changed' },
        hint: { type: 'string', description: 'What the user can do' },
        details: { type: 'object', description: 'Facts for programs: ids, sizes, limits' },
      },
      required: ['code', 'message', 'retryable', 'hint'],
    },
  },
  required: ['error'],
};

const queryFlag = (name: string, description: string): JsonSchema => ({
  name,
  in: 'query',
  description,
  schema: { type: 'boolean' },
});

const events: JsonSchema = {
  operationId: 'events',
  summary: 'Signals of what changed, as server-sent events',
  tags: ['backend'],
  parameters: [
    {
      name: 'Last-Event-ID',
      in: 'header',
      description: 'The id of the last signal that the client has: it gets those after it',
      schema: { type: 'string' },
    },
    queryFlag('named', 'Events with names, for programs of other people'),
    queryFlag('delta', 'With `named`: also the pieces of answers'),
    {
      name: 'session',
      in: 'query',
      description: 'With `named`: leaves out the events of other sessions',
      schema: { type: 'string', ...inputField('getSession', 'session') },
    },
  ],
  responses: {
    200: {
      description: 'Signals, each under 1 KB; they end with the connection',
      content: { [eventStreamType]: { schema: { type: 'string' } } },
    },
    401: { $ref: '#/components/responses/Error401' },
    403: { $ref: '#/components/responses/Error403' },
    default: { $ref: '#/components/responses/Error' },
  },
};
