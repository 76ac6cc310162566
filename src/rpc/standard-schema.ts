/**
 * What contracts use of the Standard Schema specification, version 1: types alone. A schema of any library that follows
 * it can say what a method takes and gives.
 */

/** Checks a value that should be an `Input`, and gives it as an `Output`: the same, or a transformed one. */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': SchemaProperties<Input, Output>
}

export interface SchemaProperties<Input, Output> {
  readonly version: 1
  /** The library's name. */
  readonly vendor: string
  readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
  /** Never there at run time. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined
}

/** The value conforms exactly when there are no `issues`. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** What may be given to the schema. */
export type SchemaInput<Schema extends StandardSchemaV1> = NonNullable<Schema['~standard']['types']>['input']

/** What comes out of it. */
export type SchemaOutput<Schema extends StandardSchemaV1> = NonNullable<Schema['~standard']['types']>['output']
