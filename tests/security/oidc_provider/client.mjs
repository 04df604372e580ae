// An OAuth client that is not ours, strict about everything the specifications say: discovery, pushed
// requests, PKCE, who answered, DPoP with nonces, refresh. It says where to send the person, is told where
// the person was sent back to, and says what it got.

import { createInterface } from "node:readline";
import * as oauth from "oauth4webapi";

const { ISSUER, CLIENT_ID, REDIRECT_URI, RESOURCE } = process.env;
const insecure = { [oauth.allowInsecureRequests]: true };
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");

const issuer = new URL(ISSUER);
const discovered = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
const as = await oauth.processDiscoveryResponse(issuer, discovered);
const client = { client_id: CLIENT_ID };
const auth = oauth.None();
const dpop = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
const options = { DPoP: dpop, ...insecure };

// The first request has no nonce, and is asked again with the one that it was told.
async function twice(ask) {
  try {
    return await ask();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return await ask();
  }
}

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const parameters = {
  response_type: "code",
  redirect_uri: REDIRECT_URI,
  scope: "orders:read",
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
};
const pushed = await twice(async () =>
  oauth.processPushedAuthorizationResponse(
    as,
    client,
    await oauth.pushedAuthorizationRequest(as, client, auth, parameters, options),
  ),
);

const where = new URL(as.authorization_endpoint);
where.searchParams.set("client_id", CLIENT_ID);
where.searchParams.set("request_uri", pushed.request_uri);
say({ open: where.href });
const back = new URL(JSON.parse((await lines.next()).value).back);

const answered = oauth.validateAuthResponse(as, client, back, state);
const tokens = await twice(async () =>
  oauth.processAuthorizationCodeResponse(
    as,
    client,
    await oauth.authorizationCodeGrantRequest(as, client, auth, answered, REDIRECT_URI, verifier, options),
  ),
);
const refreshed = await twice(async () =>
  oauth.processRefreshTokenResponse(
    as,
    client,
    await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token, options),
  ),
);
const asked = await twice(() =>
  oauth.protectedResourceRequest(refreshed.access_token, "GET", new URL(RESOURCE), undefined, undefined, options),
);
const revoked = await oauth.revocationRequest(as, client, auth, refreshed.refresh_token, insecure);
await oauth.processRevocationResponse(revoked);

const metadata = await oauth.resourceDiscoveryRequest(new URL(`${ISSUER}/paper`), insecure);
const resource = await oauth.processResourceDiscoveryResponse(new URL(`${ISSUER}/paper`), metadata);
say({
  type: refreshed.token_type,
  scope: tokens.scope,
  replaced: refreshed.refresh_token !== tokens.refresh_token,
  status: asked.status,
  revoked: revoked.status,
  servers: resource.authorization_servers,
});
lines.return?.();
process.exit(0);
