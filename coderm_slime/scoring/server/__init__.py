"""A small HTTP server with SGLang's protocol, for machines without SGLang. A stand-in, never SGLang. Needs `serve`.

A one-label `*ForSequenceClassification` answers `/v1/embeddings`, `/classify` and `/encode` with raw logits; a
`*ForCausalLM` answers `/generate` and `/v1/chat/completions`. One thread computes; requests that wait meanwhile are
batched together. Not here: streaming, several samples a request, prefix caching, weight updates, GPUs.
"""
