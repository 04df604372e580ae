// An independent OpenID provider on a free port of the loopback interface.
//
// Prints one line of JSON when it listens: its issuer. Ends when standard input does, so that it
// never outlives the test that started it.

import { createServer } from "node:http";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import Provider from "oidc-provider";

const audience = process.env.AUDIENCE;
const algorithm = process.env.ALGORITHM;

function signingKey() {
  const { privateKey } =
    algorithm === "ES256"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : algorithm === "PS256" || algorithm === "RS256"
        ? generateKeyPairSync("rsa", { modulusLength: 2048 })
        : generateKeyPairSync("ed25519");
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: algorithm, kid: randomUUID() };
}

function configuration() {
  return {
    jwks: { keys: [signingKey()] },
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
    ],
    extraTokenClaims: () => ({ acct: ["P-alpha"] }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: () => ({
          scope: "orders:read orders:write",
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

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration());
  server.on("request", provider.callback());
  process.stdout.write(JSON.stringify({ issuer }) + "\n");
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
