// The one identity the bundle runs as.
@description('Required. Name of the user-assigned identity.')
param name string

@description('Required. Region.')
param location string

@description('Required. Tags.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id of the identity.')
output id string = identity.id

@description('Client id, which SDKs ask for.')
output clientId string = identity.properties.clientId

@description('Principal id, which roles are given to.')
output principalId string = identity.properties.principalId
