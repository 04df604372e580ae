// An independent OpenID provider on a free port of the loopback interface.
//
// Prints one line of JSON when it listens: its issuer. A line on standard input has it sign with another key
// ("rotate") or publish that one alone ("drop"), and is answered by one of JSON. Ends when standard input
// does, so that it never outlives the test that started it. People log in with their name and a password
// that begins with it.

import { createServer } from "node:http";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { text } from "node:stream/consumers";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const audience = process.env.AUDIENCE;
const algorithm = process.env.ALGORITHM;
const back = process.env.BACK;
const roles = { alice: ["trader"], walt: ["watcher"] };
const scope = "orders:read orders:write";

function signingKey() {
  const { privateKey } =
    algorithm === "ES256"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : algorithm === "PS256" || algorithm === "RS256"
        ? generateKeyPairSync("rsa", { modulusLength: 2048 })
        : generateKeyPairSync("ed25519");
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: algorithm, kid: randomUUID() };
}

function configuration(keys) {
  return {
    jwks: { keys },
    clients: [
      {
        client_id: "desk",
        client_secret: process.env.CLIENT_SECRET,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: algorithm,
        token_endpoint_auth_method: "client_secret_basic",
      },
      {
        client_id: "app",
        grant_types: ["authorization_code"],
        redirect_uris: [back],
        response_types: ["code"],
        application_type: "native",
        id_token_signed_response_alg: algorithm,
        token_endpoint_auth_method: "none",
      },
    ],
    acrValues: ["gold", "tin"],
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    // Of the login, a token says what RFC 9068, 2.2.1 has for it; of a program's own there is none.
    extraTokenClaims: (ctx, token) => ({
      acct: ["P-alpha"],
      ...(token.accountId && {
        desk: { roles: roles[token.accountId] },
        auth_time: ctx.oidc.entities.AuthorizationCode.authTime,
        acr: ctx.oidc.entities.AuthorizationCode.acr,
      }),
    }),
    interactions: { url: (ctx, interaction) => `/login/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope,
          audience,
          accessTokenFormat: "jwt",
          accessTokenTTL: 600,
          jwt: { sign: { alg: algorithm } },
        }),
      },
    },
    enabledJWA: {
      idTokenSigningAlgValues: [algorithm],
      clientAuthSigningAlgValues: [algorithm],
      requestObjectSigningAlgValues: [algorithm],
    },
  };
}

async function login(provider, request, response) {
  const { uid, params } = await provider.interactionDetails(request, response);
  if (request.method === "GET") {
    response.setHeader("content-type", "text/html");
    response.end(`<form method="post" action="/login/${uid}">`);
    return;
  }
  const typed = new URLSearchParams(await text(request));
  const user = typed.get("username");
  if (!roles[user] || typed.get("password") !== `${user}-password`) {
    response.writeHead(401).end();
    return;
  }
  const grant = new provider.Grant({ accountId: user, clientId: params.client_id });
  grant.addOIDCScope("openid");
  grant.addResourceScope(audience, scope);
  await provider.interactionFinished(request, response, {
    login: { accountId: user, acr: user === "alice" ? "gold" : "tin" },
    consent: { grantId: await grant.save() },
  });
}

const keys = [signingKey()];
const server = createServer();
let provider;

function publish() {
  provider = new Provider(issuer, configuration(structuredClone(keys)));
}

let issuer;
server.on("request", (request, response) => {
  if (!request.url.startsWith("/login/")) return provider.callback()(request, response);
  login(provider, request, response).catch((error) => response.writeHead(500).end(String(error)));
});
server.listen(0, "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  publish();
  process.stdout.write(JSON.stringify({ issuer }) + "\n");
});
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  if (line === "rotate") keys.unshift(signingKey());
  if (line === "drop") keys.splice(1);
  publish();
  process.stdout.write(JSON.stringify({ done: line }) + "\n");
});
lines.on("close", () => process.exit(0));
