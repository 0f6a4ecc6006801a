"""The bundle's table of contents: every blueprint, registered."""

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

for blueprint in ():
    app.register_functions(blueprint)
