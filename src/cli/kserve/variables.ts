/**
 * Every variable that is read, but for those of flags (`MODEL_FETCH_<FLAG>`) and of the terminal: who sets it, what it
 * does, and where it is read. `docs/environment.md` is this table.
 */

export interface Variable {
  /** `<…>` stands for a part that varies. */
  readonly name: string;
  readonly group: string;
  /** Who usually sets it. */
  readonly by: string;
  readonly does: string;
  /** The file that reads it, below `src/`; or `AWS SDK`, `Node`, `nobody`. */
  readonly reader: string;
}

type Row = readonly [name: string, by: string, does: string, reader: string];

function group(title: string, rows: readonly Row[]): readonly Variable[] {
  return rows.map(([name, by, does, reader]) => ({ name, group: title, by, does, reader }));
}

const S3 = 'fetchers/s3-options.ts';
const KEYS = 'fetchers/s3-keys.ts';
const SDK = 'AWS SDK';
const GCS = 'fetchers/gcs-options.ts';
const CA = 'net/ca.ts';
const PROXY = 'net/proxy.ts';
const REMOTE = 'cli/seldon/remote-env.ts';
const YOU = 'you';
const SECRET = 'KServe, Seldon: from the secret of the service account';
const ANNOTATION = 'KServe, Seldon: from annotations or the secret';

// prettier-ignore
export const VARIABLES: readonly Variable[] = [
  ...group('S3, in the words of AWS', [
    ['AWS_ACCESS_KEY_ID', SECRET, 'the key that requests are signed with, together with its secret', KEYS],
    ['AWS_SECRET_ACCESS_KEY', SECRET, 'its secret', KEYS],
    ['AWS_SESSION_TOKEN', YOU, 'the token of temporary keys', KEYS],
    ['AWS_ACCESS_KEY_ID_FILE', YOU, 'a file with the key; read again when the store no longer takes the keys', KEYS],
    ['AWS_SECRET_ACCESS_KEY_FILE', YOU, 'the same for its secret', KEYS],
    ['AWS_SESSION_TOKEN_FILE', YOU, 'the same for the token', KEYS],
    ['AWS_PROFILE', YOU, 'a profile of the shared files, for keys and region; the files are read again when the store no longer takes the keys', S3],
    ['AWS_SHARED_CREDENTIALS_FILE', YOU, 'where these files are, when not in `~/.aws`', SDK],
    ['AWS_CONFIG_FILE', YOU, 'the same', SDK],
    ['AWS_ROLE_ARN', 'EKS: a role for the service account (IRSA)', 'the role that is assumed with the web identity token, and again before it ends', SDK],
    ['AWS_WEB_IDENTITY_TOKEN_FILE', 'EKS (IRSA)', 'the file with that token, read anew each time', SDK],
    ['AWS_ENDPOINT_URL_STS', YOU, 'where roles are assumed, when not at Amazon', SDK],
    ['AWS_CONTAINER_CREDENTIALS_FULL_URI', 'EKS Pod Identity', 'where the agent gives out keys', SDK],
    ['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI', 'ECS', 'the same', SDK],
    ['AWS_CONTAINER_AUTHORIZATION_TOKEN', 'ECS', 'the token that the agent wants to see', SDK],
    ['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', 'EKS Pod Identity', 'a file with it, read anew each time', SDK],
    ['AWS_EC2_METADATA_DISABLED', YOU, '`true`: the metadata of the machine is not asked for keys', SDK],
    ['AWS_EC2_METADATA_SERVICE_ENDPOINT', YOU, 'where it is, when not at its usual address', SDK],
    ['AWS_ENDPOINT_URL', ANNOTATION, 'the S3 to read from; Amazon when nothing is said', S3],
    ['AWS_ENDPOINT_URL_S3', YOU, 'the same, and wins', S3],
    ['AWS_REGION', 'EKS, Seldon', 'the region; corrected by what the store answers', S3],
    ['AWS_DEFAULT_REGION', ANNOTATION, 'the same, where `AWS_REGION` says nothing', S3],
    ['AWS_CA_BUNDLE', ANNOTATION, 'a file of authorities that are trusted for S3 and where its roles are assumed, beside the usual ones', S3],
    ['AWS_REQUEST_PAYER', YOU, '`requester`: the reader pays', S3],
    ['AWS_USE_DUALSTACK_ENDPOINT', YOU, "`true`: Amazon's endpoints that speak IPv6 too", S3],
    ['AWS_USE_FIPS_ENDPOINT', YOU, "`true`: Amazon's FIPS endpoints", S3],
    ['MODEL_FETCH_S3_ANONYMOUS', YOU, '`true`: requests are not signed', S3],
    ['MODEL_FETCH_S3_REQUEST_PAYER', YOU, 'as `AWS_REQUEST_PAYER`, and wins', S3],
    ['MODEL_FETCH_S3_SSE_C_KEY', YOU, 'the key that objects are encrypted with (SSE-C): 32 bytes in base64', S3],
    ['MODEL_FETCH_S3_SSE_C_KEY_FILE', YOU, 'a file that holds it', S3],
  ]),
  ...group('S3, in the words of KServe', [
    ['STORAGE_CONFIG', 'KServe: `storage:` and its secret', 'a store as a JSON object, values of any type: `type` (`s3`), `endpoint_url`, `access_key_id`, `secret_access_key`, `session_token`, `region`, `ca_bundle`, `verify_ssl`, `anonymous`; wins over the variables; other types are passed over', 'cli/kserve/storage-config.ts'],
    ['STORAGE_OVERRIDE_CONFIG', 'KServe: `storage.parameters`', 'replaces keys of `STORAGE_CONFIG`', 'cli/kserve/storage-config.ts'],
    ['awsAnonymousCredential', ANNOTATION, '`true`: requests are not signed', S3],
    ['S3_ENDPOINT', ANNOTATION, 'the S3 as host and port, where `AWS_ENDPOINT_URL` says nothing', S3],
    ['S3_USE_HTTPS', ANNOTATION, '`0` or `false`: `S3_ENDPOINT` is reached in the clear', S3],
    ['S3_VERIFY_SSL', ANNOTATION, '`0` or `false`: its certificate is not checked, which is a warning', S3],
    ['S3_USER_VIRTUAL_BUCKET', ANNOTATION, '`true`: buckets are host names', S3],
    ['S3_USE_ACCELERATE', ANNOTATION, "`true`: Amazon's accelerated endpoint", S3],
    ['S3_CONNECT_TIMEOUT', YOU, 'seconds; with the next one the stall timeout, the longer of the two (`--stall-timeout` wins)', 'cli/kserve/tuning.ts'],
    ['S3_READ_TIMEOUT', YOU, 'seconds without a byte', 'cli/kserve/tuning.ts'],
    ['S3_MAX_ATTEMPTS', YOU, 'tries after the first, as boto counts (`--attempts` wins)', 'cli/kserve/tuning.ts'],
    ['S3_MAX_FILE_CONCURRENCY', YOU, 'accepted, and not needed: the number of requests adapts itself (`--concurrency` fixes it)', 'cli/kserve/tuning.ts'],
  ]),
  ...group('Files of a folder', [
    ['STORAGE_ALLOW_PATTERNS', 'KServe', "only paths that match one of these: a JSON array, a JSON string or a list with commas, with the meaning of Python's `fnmatch` (`*` crosses `/`); not for a single file that the URI names; `--include` wins", 'cli/kserve/patterns.ts'],
    ['STORAGE_IGNORE_PATTERNS', 'KServe', 'then not those that match one of these; `--exclude` wins', 'cli/kserve/patterns.ts'],
  ]),
  ...group('HTTP', [
    ['<host>-headers', 'KServe: a secret with `https-host` and `headers`', 'headers for that host, a JSON object; they never go to another', 'fetchers/http-headers.ts'],
  ]),
  ...group('Certificates', [
    ['CA_BUNDLE_CONFIGMAP_NAME', 'KServe: its global CA bundle', 'set: `cabundle.crt` in the mount is trusted, beside the usual authorities; that it is not there is a warning', CA],
    ['CA_BUNDLE_VOLUME_MOUNT_POINT', 'KServe', 'that mount; `/etc/ssl/custom-certs` when nothing is said', CA],
    ['REQUESTS_CA_BUNDLE', YOU, 'a file of authorities that are trusted too', CA],
    ['SSL_CERT_FILE', YOU, 'the same', CA],
    ['NODE_EXTRA_CA_CERTS', YOU, 'the same', 'Node'],
  ]),
  ...group('Proxies', [
    ['HTTPS_PROXY', YOU, 'the proxy for `https://`, with its credentials where it wants some (`user:password@` before the host, percent-encoded); also in lower case, which wins', PROXY],
    ['HTTP_PROXY', YOU, 'the proxy for `http://`; also in lower case, which wins', PROXY],
    ['ALL_PROXY', YOU, 'the proxy for both; also in lower case', PROXY],
    ['NO_PROXY', YOU, 'hosts, suffixes, addresses and blocks that are reached directly; also in lower case', PROXY],
    ['REQUEST_METHOD', 'web servers that run CGI programs', '`HTTP_PROXY` is then the header of some client: only its lower case counts', PROXY],
  ]),
  ...group('Google Cloud Storage', [
    ['GOOGLE_APPLICATION_CREDENTIALS', 'KServe, Seldon: from the secret', 'a JSON file: a service account, a user, a workload identity federation, or an impersonation', GCS],
    ['CLOUDSDK_CONFIG', YOU, "gcloud's folder, when not in `~/.config/gcloud`", GCS],
    ['GCE_METADATA_HOST', 'PrimeHub (127.0.0.1: there is none)', 'where the metadata server is', GCS],
    ['GCE_METADATA_IP', 'PrimeHub', 'the same', GCS],
    ['METADATA_SERVER_DETECTION', YOU, '`none`: no metadata server is asked', GCS],
    ['NO_GCE_CHECK', YOU, '`true`: the same', GCS],
    ['STORAGE_EMULATOR_HOST', YOU, 'an emulator, reached without credentials', GCS],
    ['GOOGLE_CLOUD_QUOTA_PROJECT', YOU, 'the project that pays', GCS],
    ['MODEL_FETCH_GCS_USER_PROJECT', YOU, 'the same, and wins', GCS],
    ['MODEL_FETCH_GCS_ENDPOINT', YOU, 'another address of the JSON API', GCS],
    ['MODEL_FETCH_GCS_ANONYMOUS', YOU, '`true`: without credentials', GCS],
    ['MODEL_FETCH_GCS_CREDENTIALS', YOU, 'what `GOOGLE_APPLICATION_CREDENTIALS` would name, as text', GCS],
    ['MODEL_FETCH_GCS_CREDENTIALS_FILE', YOU, 'a file with that text', 'cli/kserve/secret-files.ts'],
  ]),
  ...group("Seldon Core's remotes", [
    ['RCLONE_CONFIG_<REMOTE>_TYPE', 'Seldon: `envSecretRefName`', '`s3`, `google cloud storage` or `http`: `<remote>:bucket/path` is read there, and `s3://` or `gs://` where the remote has that name', 'cli/seldon.ts'],
    ['RCLONE_CONFIG_<REMOTE>_ACCESS_KEY_ID', 'Seldon', 's3: the key', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_SECRET_ACCESS_KEY', 'Seldon', 's3: its secret', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_SESSION_TOKEN', 'Seldon', 's3: its token', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_ENV_AUTH', 'Seldon', "s3: `true`: keys come from AWS's variables and services; without keys and without this, requests are not signed", REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_ENDPOINT', 'Seldon', 's3, gcs: where it is', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_REGION', 'Seldon', 's3: the region', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_PROVIDER', 'Seldon', 's3: accepted, and not needed', 'nobody'],
    ['RCLONE_CONFIG_<REMOTE>_PROFILE', 'Seldon', 's3: as `AWS_PROFILE`', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_FORCE_PATH_STYLE', 'Seldon', 's3: `false`: buckets are host names', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_REQUESTER_PAYS', 'Seldon', 's3: `true`: the reader pays', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_USE_ACCELERATE_ENDPOINT', 'Seldon', "s3: `true`: Amazon's accelerated endpoint", REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_SSE_CUSTOMER_KEY_BASE64', 'Seldon', 's3: as `MODEL_FETCH_S3_SSE_C_KEY`', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_ANONYMOUS', 'Seldon', 'gcs: `true`: without credentials', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_SERVICE_ACCOUNT_FILE', 'Seldon', 'gcs: the file of the account', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_SERVICE_ACCOUNT_CREDENTIALS', 'Seldon', 'gcs: the account as text', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_USER_PROJECT', 'Seldon', 'gcs: the project that pays', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_URL', 'Seldon', 'http: the folder that paths are below', REMOTE],
    ['RCLONE_CONFIG_<REMOTE>_HEADERS', 'Seldon', 'http: `name,value,name,value`', REMOTE],
  ]),
  ...group('Targets and mounts', [
    ['OUTPUT_PATH', "PrimeHub's MLflow downloader", 'the destination, when the URI stands alone', 'cli/grammar.ts'],
    ['MODEL_FETCH_PHFS', YOU, 'where `phfs://` is mounted, when not at `/phfs`', 'fetchers/mounted.ts'],
    ['MODEL_FETCH_NFS', YOU, 'where `nfs://` is mounted, when not at `/nfs`', 'fetchers/mounted.ts'],
    ['KUBERNETES_SERVICE_HOST', 'Kubernetes', 'set: the end of the run is told in `/dev/termination-log`, where that can be written', 'cli/termination-log.ts'],
    ['HOME', 'the image', 'where the files of AWS and gcloud are looked for; need not be there', GCS],
  ]),
  ...group('Nothing to us', [
    ['HF_HUB_ENABLE_HF_TRANSFER', 'KServe, always', 'not read, and no warning', 'nobody'],
    ['HF_XET_HIGH_PERFORMANCE', 'KServe, always', 'not read, and no warning', 'nobody'],
    ['HF_XET_NUM_CONCURRENT_RANGE_GETS', 'KServe, always', 'not read, and no warning', 'nobody'],
  ]),
];
