// The authorization server of the end-to-end tests: oidc-provider, told which clients there are.
//
//   node server.mjs CONFIG.json
//
// CONFIG holds `clients` (as oidc-provider takes them, with `token_seconds` and `jwt`), `resource` (the audience of JWT
// access tokens), `port` (0 for any), and with TLS `key`, `cert` and `ca` (PEM; with `ca`, clients must show a certificate).
// One more endpoint than oidc-provider has: GET /-/grants lists what the token endpoint answered, the oldest first.

import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { Provider, errors } from 'oidc-provider';

const given = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const scopes = ['system/Task.read', 'system/Organization.read'];
const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const grants = [];

const configuration = {
  clients: given.clients,
  scopes,
  responseTypes: [],
  clientDefaults: {
    ...{ grant_types: ['client_credentials'], response_types: [], redirect_uris: [] },
    id_token_signed_response_alg: 'ES256',
  },
  extraClientMetadata: { properties: ['token_seconds', 'jwt'] },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
  enabledJWA: { clientAuthSigningAlgValues: ['RS384', 'ES384'] },
  jwks: { keys: [{ ...signing, alg: 'ES256', use: 'sig' }] },
  ttl: { ClientCredentials: (ctx, token, client) => client.token_seconds ?? 300 },
  clockTolerance: 5,
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, client) => (client?.jwt ? given.resource : undefined),
      getResourceServerInfo: (ctx, resource, client) => {
        if (resource !== given.resource) throw new errors.InvalidTarget();
        return {
          scope: scopes.join(' '),
          audience: given.resource,
          accessTokenTTL: client.token_seconds,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        };
      },
    },
  },
};

const secure = given.key !== undefined;
const server = secure
  ? https.createServer({ key: given.key, cert: given.cert, ca: given.ca, requestCert: given.ca !== undefined, minVersion: 'TLSv1.2' })
  : http.createServer();
server.listen(given.port ?? 0, '127.0.0.1', () => {
  const issuer = `${secure ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  const note = (client, error) => grants.push({ client: client ?? null, error: error ?? null });
  provider.on('grant.success', (ctx) => note(ctx.oidc.client?.clientId));
  provider.on('grant.error', (ctx, error) => note(ctx.oidc.client?.clientId, error.error_detail ?? error.message));
  provider.on('server_error', (ctx, error) => console.error(error));
  const answer = provider.callback();
  server.on('request', (request, response) => {
    if (request.method !== 'GET' || request.url !== '/-/grants') return answer(request, response);
    response.setHeader('content-type', 'application/json');
    return response.end(JSON.stringify(grants));
  });
  console.log(`msg=listening issuer=${issuer} `);
});
