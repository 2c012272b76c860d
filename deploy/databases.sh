#!/bin/sh
# Run once by PostgreSQL's image, when its folder is empty: a database and an account for each who keeps tables there, and nobody else in it.
set -eu

for name in journal mlflow prefect; do
    # The password goes in by the environment: the words of a command can be seen by others.
    PASSWORD=$(cat "/run/secrets/${name}_password") psql --set ON_ERROR_STOP=1 --set name="$name" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv password PASSWORD
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
# Prefect's tables have an index of this extension, which only an administrator may always make.
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname prefect --command 'CREATE EXTENSION pg_trgm'
