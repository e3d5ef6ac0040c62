module kaas.internal/bench/store

go 1.26
