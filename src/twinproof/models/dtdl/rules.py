"""The rules that a model can break: stable names, and what to do about each."""

from __future__ import annotations

from collections.abc import Mapping

RULES: Mapping[str, str] = {
    # documents
    "json": "write the document as JSON (RFC 8259) without duplicate members",
    "json-size": "split the model or remove what it does not need",
    "root": "make the document one object or an array of objects",
    "top-level-interface": "put the element inside an Interface; only Interfaces stand at the top level",
    # contexts
    "context-form": "use one context specifier or an array of them, each a string",
    "context-dtmi": "write context specifiers as DTMIs with a version, such as dtmi:dtdl:context;4",
    "context-missing": "give the top-level element an @context with dtmi:dtdl:context;2, ;3 or ;4",
    "context-version": "use version 2, 3 or 4 of the language",
    "context-order": "put the language's own context before those of extensions",
    "context-undefined": "remove the context, or allow undefined extensions",
    "context-limits": "write #limitless directly before #limits, a limit extension or the language's context, and "
    "limits only directly after #limitless",
    # identifiers
    "id-missing": "give the element an @id",
    "id-form": "write @id as one DTMI, such as dtmi:com:example:Pump;1",
    "id-reserved": "choose an identifier of your own; this prefix belongs to the language or an extension",
    "id-length": "shorten the identifier",
    "id-duplicate": "give each element its own @id, or refer to the first one",
    # types
    "type-missing": "add @type with the element's class",
    "type-form": "write @type as a string or an array of strings",
    "type-material": "name exactly one class of the language in @type",
    "type-standard": "refer to the standard element by its term; it cannot be written out",
    "type-invalid": "correct the DTMI, or remove the co-type",
    "type-undefined": "remove the co-type, or add the context of the extension that defines it",
    "cotype-abstract": "use one of the concrete types below it",
    "cotype-not-applicable": "remove the co-type, or use it on an element it is made for",
    "cotype-group": "keep one of the semantic types",
    "cotype-needs": "add the missing co-type",
    "cotype-bars": "remove one of the two co-types",
    "cotype-place": "move the element, or remove the co-type",
    "cotype-only-one": "keep the co-type on one of the elements",
    "cotype-schema": "change the schema to one that the co-type allows",
    "cotype-fields": "co-type the field, or move it to another Object",
    # members
    "keyword": "remove the member; only @context, @id and @type are used here",
    "member-undefined": "remove the member, or add the context of the extension that defines it",
    "member-twice": "write the member once, preferably by its term",
    "member-missing": "add the member",
    "too-few": "add what is missing",
    "too-many": "remove what is too much",
    # values
    "value-kind": "use a value of the right kind",
    "value-object": 'write {"@value": ..., "@type": ...} with the matching xsd type and no other members',
    "string-length": "shorten the text",
    "string-pattern": "change the text to fit the pattern",
    "number-range": "use a number in range",
    "language-tag": "use a language tag such as en, de-CH or zh-Hans",
    "language-duplicate": "give one text per language; a text without a language counts as en",
    "enum-value-kind": "make each enumValue fit the Enum's valueSchema",
    "not-unique": "make the values differ",
    # references
    "reference-form": "use an element, a DTMI or a term that the context defines",
    "reference-undefined": "add the definition to the documents, or let the resolver supply it",
    "reference-kind": "use an element of the right class",
    "reference-version": "use an element of the same or an earlier language version",
    "reference-not-allowed": "use one of the listed values",
    "reference-partition": "refer to an Interface, or move the element into the same Interface",
    "sibling": "name a Property or Telemetry of the same Interface that can be annotated",
    "override": "name a property that an extension gives to the annotated element, with a matching schema, once",
    # hierarchies
    "cycle": "break the circle of references",
    "extends-depth": "extend fewer Interfaces in a row",
    "extends-count": "extend fewer Interfaces",
    "contents-count": "divide the Interface",
    "schema-depth": "flatten the schema",
    "component-in-component": "refer to Interfaces without Components, or use a Relationship",
    "array-in-property": "use a Map, or a later version of the language",
    "interface-size": "divide the Interface",
    "work": "simplify the inheritance",
}
"""Rule -> what usually mends it."""
