/** Stands in for the native `msgpack` addon that swim 0.6.0 asks for and that no longer compiles. */
const { decode, encode } = require('@msgpack/msgpack')

exports.pack = (value) => Buffer.from(encode(value))
exports.unpack = (bytes) => decode(bytes)
