/** The program of a process that replaces a snapshot file as fast as it can, until it is killed. */
import { SnapshotFile } from '../../src/membership/snapshot-file.js'
import { numberedSnapshot } from './numbered-snapshot.js'

const [path = '', first = '0'] = process.argv.slice(2)
const file = await SnapshotFile.open(path)
process.stdout.write('writing\n')
for (let number = Number(first); ; number++) await file.write(numberedSnapshot(number))
