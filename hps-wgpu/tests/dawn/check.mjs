// Has Dawn, the implementation of WebGPU in Chromium, read shaders: its own front end (Tint) with WebGPU's rules of uniform
// control flow, which wgpu's does not check, and WebGPU's default limits.
//
// node check.mjs SHADERS: a file of records `name \0 entry \0 WGSL \0`. Prints a line for each that is refused. The folder of
// the package `webgpu` is in DAWN.
import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { create, globals } = await import(pathToFileURL(join(process.env.DAWN, 'index.js')));
Object.assign(globalThis, globals);
// The adapter without a device behind it: everything is checked and nothing is computed. `gpu` has to outlive all else.
const gpu = create(['backend=null']);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice();

const fields = readFileSync(process.argv[2], 'utf8').split('\0');
for (let at = 0; at + 3 <= fields.length; at += 3) {
    const [name, entryPoint, code] = fields.slice(at, at + 3);
    const line = (text) => writeSync(1, `${name}: ${text.replaceAll('\n', ' | ')}\n`);
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code });
    const refusal = await device.popErrorScope();
    if (refusal) {
        line(refusal.message);
        continue;
    }
    device.pushErrorScope('validation');
    device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint } });
    const unfit = await device.popErrorScope();
    if (unfit) line(unfit.message);
}
writeSync(1, `read ${Math.floor(fields.length / 3)}\n`);
gpu;
