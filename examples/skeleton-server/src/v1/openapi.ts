/** `/seldon.json`: what this server answers, as an OpenAPI description. */

const message = { $ref: '#/components/schemas/SeldonMessage' };
const json = (schema: object): object => ({ 'application/json': { schema } });
const answers = {
  200: { description: 'The answer', content: json(message) },
  400: { description: 'No usable request', content: json(message) },
  500: { description: 'The model failed', content: json(message) },
};
const post = (summary: string, schema: object = message): object => ({
  post: { summary, requestBody: { required: true, content: json(schema) }, responses: answers },
});
const get = (summary: string): object => ({
  get: { summary, responses: { 200: { description: 'The answer' } } },
});

const numbers = { type: 'array', items: { type: 'number' } };
const strings = { type: 'array', items: { type: 'string' } };
const schemas = {
  SeldonMessage: {
    type: 'object',
    properties: {
      status: { $ref: '#/components/schemas/Status' },
      meta: { $ref: '#/components/schemas/Meta' },
      data: { $ref: '#/components/schemas/DefaultData' },
      strData: { type: 'string' },
      binData: { type: 'string', format: 'byte' },
      jsonData: {},
    },
  },
  DefaultData: {
    type: 'object',
    properties: {
      names: strings,
      tensor: {
        type: 'object',
        properties: { shape: { type: 'array', items: { type: 'integer' } }, values: numbers },
      },
      ndarray: { type: 'array', items: {} },
    },
  },
  Meta: {
    type: 'object',
    properties: {
      puid: { type: 'string' },
      tags: { type: 'object' },
      routing: { type: 'object', additionalProperties: { type: 'integer' } },
      requestPath: { type: 'object', additionalProperties: { type: 'string' } },
      metrics: { type: 'array', items: { $ref: '#/components/schemas/Metric' } },
    },
  },
  Metric: {
    type: 'object',
    properties: {
      key: { type: 'string' },
      type: { type: 'string', enum: ['COUNTER', 'GAUGE', 'TIMER'] },
      value: { type: 'number' },
      tags: { type: 'object', additionalProperties: { type: 'string' } },
    },
  },
  Status: {
    type: 'object',
    properties: {
      code: { type: 'integer' },
      info: { type: 'string' },
      reason: { type: 'string' },
      status: { oneOf: [{ type: 'integer' }, { type: 'string' }] },
    },
  },
  SeldonMessageList: {
    type: 'object',
    properties: { seldonMessages: { type: 'array', items: message } },
  },
  Feedback: {
    type: 'object',
    properties: { request: message, response: message, reward: { type: 'number' }, truth: message },
  },
};

const predictions = post('Predict');
const feedback = post('Tell how good an answer was', { $ref: '#/components/schemas/Feedback' });
const status = get('What the model says of its health');
const metadata = get('What the model says of itself');

export const openApi = {
  openapi: '3.0.0',
  info: { title: 'Seldon External API', version: '1.0' },
  paths: {
    '/predict': predictions,
    '/api/v1.0/predictions': predictions,
    '/api/v0.1/predictions': predictions,
    '/send-feedback': feedback,
    '/api/v1.0/feedback': feedback,
    '/api/v0.1/feedback': feedback,
    '/transform-input': post('Transform what goes into a model'),
    '/transform-output': post('Transform what comes out of a model'),
    '/route': post('Choose a child'),
    '/aggregate': post('Make one answer of several', {
      $ref: '#/components/schemas/SeldonMessageList',
    }),
    '/health/ping': get('Whether the server answers'),
    '/health/status': status,
    '/api/v1.0/health/status': status,
    '/metadata': metadata,
    '/api/v1.0/metadata': metadata,
  },
  components: { schemas },
};
