// What a program in JavaScript does: objects, an informer that sees them, exec. Prints one line of JSON.
import * as k8s from '@kubernetes/client-node';
import { Writable } from 'node:stream';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const seen = [];
const result = {};

const list = () => core.listNamespacedConfigMap({ namespace: 'default', labelSelector: 'made-by=node' });
const informer = k8s.makeInformer(config, '/api/v1/namespaces/default/configmaps', list, 'made-by=node');
for (const event of ['add', 'update', 'delete']) informer.on(event, (object) => seen.push([event, object.metadata.name]));
let stopping = false;
informer.on('error', (error) => { if (!stopping) throw error; });
await informer.start();

const body = { metadata: { name: 'node', labels: { 'made-by': 'node' } }, data: { a: 'b' } };
const made = await core.createNamespacedConfigMap({ namespace: 'default', body });
made.data.c = 'd';
result.replaced = (await core.replaceNamespacedConfigMap({ name: 'node', namespace: 'default', body: made })).data;
await core.deleteNamespacedConfigMap({ name: 'node', namespace: 'default' });
for (let i = 0; i < 100 && seen.length < 3; i++) await new Promise((done) => setTimeout(done, 100));
stopping = true;
await informer.stop();
result.seen = seen;

try {
  await core.readNamespacedConfigMap({ name: 'node', namespace: 'default' });
} catch (error) {
  result.gone = error.code;
}

const parts = [];
const out = new Writable({ write(chunk, _, done) { parts.push(chunk.toString()); done(); } });
result.status = await new Promise((done, failed) => {
  new k8s.Exec(config).exec('default', process.argv[2], 'c', ['sh', '-c', 'echo from node; exit 5'], out, out, null, false, done).catch(failed);
});
result.output = parts.join('');
result.yaml = k8s.dumpYaml((await core.readNamespacedPod({ name: process.argv[2], namespace: 'default' })).spec.containers[0].image).trim();
console.log(JSON.stringify(result));
process.exit(0);
